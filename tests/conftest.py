"""Comes before every test: mmparts makes mmdet importable on mmcv-lite, whichever a test file imports first."""
import mmparts  # noqa: F401
