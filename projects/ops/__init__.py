"""Special operators in plain torch, one file per family; `mmcv_ext` lends them to mmdet and mmseg on mmcv-lite."""

__all__ = ['ms_deform_attn', 'ms_deform_attn_reference']


def __getattr__(name: str):
    # `import mmparts` passes through here for `mmcv_ext` and must not wait for torch.
    if name in __all__:
        from . import deform_attn

        return getattr(deform_attn, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
