"""What mmcv needs of us on mmcv-lite (`finder`, `calls`), and what it lends us where it is compiled (`compiled`)."""
