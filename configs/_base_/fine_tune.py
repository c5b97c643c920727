# What fine-tuning leaves of pre-training; a config writes `default_hooks = dict(fine_tune={{_base_.fine_tune}})`.
# All that stands for classes (of decoder and encoder, labels of denoising), and what only the pre-training needs.
fine_tune = dict(
    type='mmparts.FineTuneHook',
    leave_out=[
        r'head\.(class_branches|embedding_branch)\..*',
        r'queries\.class_branch\..*',
        r'groups\..*label_embed\..*',
        r'prompt\..*',
    ],
)
