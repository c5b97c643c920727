# What every config shares, whatever its task: hooks, environment, logging. Configs take that of their task, such as
# detection_runtime.py, which builds on this.

# Hooks stand here rather than in `custom_hooks`, a list that a config which sets it would replace as a whole.
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmparts.SafeCheckpointHook', interval=1, max_keep_ckpts=2, save_best='auto', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    check_classes=dict(type='mmparts.CheckClassesHook'),
    bad_images=dict(type='mmparts.BadImagesHook'),
    check_metrics=dict(type='mmparts.CheckMetricsHook'),
    check_volumes=dict(type='mmparts.CheckVolumesHook'),
    progress=dict(type='mmparts.ProgressHook'),
    step_seed=dict(type='mmparts.StepSeedHook'),
    consensus=dict(type='mmparts.ConsensusHook'),
    buffers=dict(type='mmparts.BufferHook'),
    watchdog=dict(type='mmparts.WatchdogHook'),
    nan_guard=dict(type='mmparts.NanGuardHook'),
    interrupt=dict(type='mmparts.InterruptHook'),
    pictures=dict(type='mmparts.PictureHook'),
    curves=dict(type='mmparts.CurveHook'),
    report=dict(type='mmparts.ReportHook'),
)

# timeout: seconds after which a process that does not go on ends the job, with the name of its rank and step.
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=1800),
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='mmengine.Visualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)

log_level = 'INFO'
load_from = None
resume = False
