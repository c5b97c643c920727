"""What the coarse outputs of a decoder count for in training: deep supervision."""

from collections.abc import Sequence

from ..registry import MODELS


@MODELS.register_module()
class DeepSupervision:
    """Weights of the outputs, fine to coarse: 1, 1/2, 1/4 and so on, normalised to the sum 1 (nnU-Net).

    Args:
        drop_last: the coarsest counts nothing (nnU-Net leaves its lowest resolution out).
        stages: normalise over so many outputs, of which the decoder gives only the first: nnFormer's code divides by
            the number of stages in its plan, so that its three weights 16/31, 8/31, 4/31 do not sum to 1.
        weights: explicit ones instead, taken as they are.
    """

    def __init__(self, drop_last: bool = False, stages: int | None = None, weights: Sequence[float] | None = None):
        self.drop_last, self.stages, self.fixed = drop_last, stages, weights

    def weights(self, count: int) -> list[float]:
        """Of so many outputs.

        Raises:
            ValueError: there are other numbers of explicit weights or stages.
        """
        if self.fixed is not None:
            if len(self.fixed) != count:
                raise ValueError(f'{len(self.fixed)} weights of deep supervision for {count} outputs of the decoder')
            return list(self.fixed)
        stages = count if self.stages is None else self.stages
        if stages < count:
            raise ValueError(f'stages={stages} of deep supervision, but the decoder gives {count} outputs')
        raw = [0.5**i for i in range(stages)]
        if self.drop_last and stages > 1:
            raw[-1] = 0.0
        return [each / sum(raw) for each in raw[:count]]
