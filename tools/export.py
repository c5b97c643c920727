"""Write a trained model as ONNX or for torch.export: `python tools/export.py CONFIG CHECKPOINT`."""

from mmparts.commands import start

if __name__ == '__main__':
    start('export')
