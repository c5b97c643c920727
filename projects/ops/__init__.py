"""Special operators in plain torch, one folder or file each; `mmcv/` lends them to mmdet and mmseg on mmcv-lite."""

__all__ = ['ms_deform_attn', 'ms_deform_attn_reference']


def __getattr__(name: str):
    # `import mmparts` passes through here for the finder and must not wait for torch.
    if name in __all__:
        from .deform_attn import api

        return getattr(api, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
