"""A vector register as a numba value, LLVM's ``<n x float>``, for kernels that do not leave their inner loop to luck.

A width need not be a power of two. Operators take two vectors of one type, or a vector and a number. Nothing is
checked: an index out of range reads or writes foreign memory. Kernels that use this import numba, so import them late.
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model

# Enough for fused multiply-add and sums in any order, while NaN and infinity keep their meaning.
FLAGS = ('contract', 'reassoc', 'nsz')


class Lanes(types.Type):
    """``length`` numbers of one type; bool for masks."""

    def __init__(self, dtype: types.Type, length: int):
        self.dtype, self.length = dtype, length
        super().__init__(f'Lanes({dtype}, {length})')


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes: Lanes):
        item = ir.IntType(1) if lanes.dtype == types.boolean else manager[lanes.dtype].get_value_type()
        super().__init__(manager, lanes, ir.VectorType(item, lanes.length))


@intrinsic(prefer_literal=True)
def load(typing, array, index, length):
    """``length`` neighbours of a flat contiguous array from ``index``; the length must be a constant of the kernel."""
    out = Lanes(array.dtype, length.literal_value)

    def code(context, builder, signature, args):
        pointer = _pointer(context, builder, signature, args, context.get_value_type(out))
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return out(array, index, length), code


@intrinsic
def store(typing, array, index, vector):
    """Write a vector to a flat contiguous array from ``index``."""

    def code(context, builder, signature, args):
        pointer = _pointer(context, builder, signature, args, args[2].type)
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), code


@intrinsic(prefer_literal=True)
def zeros(typing, like, length):
    """A vector of zeros with the dtype of the array or vector ``like``."""
    out = Lanes(like.dtype, length.literal_value)
    return out(like, length), lambda context, builder, signature, args: context.get_constant_null(out)


@intrinsic
def where(typing, mask, a, b):
    """``a`` where the mask is true, elsewhere ``b``; one of the two may be a number."""
    lanes = a if isinstance(a, Lanes) else b

    def code(context, builder, signature, args):
        return builder.select(args[0], *_vectors(context, builder, signature.args[1:], args[1:], lanes))

    return lanes(mask, a, b), code


@intrinsic
def convert(typing, vector, like):
    """Floats cut to the integers of ``like``, or a mask as zeros and ones of it."""
    out = Lanes(like.dtype, vector.length)

    def code(context, builder, signature, args):
        cast = builder.zext if vector.dtype == types.boolean else builder.fptosi
        return cast(args[0], context.get_value_type(out))

    return out(vector, like), code


@intrinsic
def isnan(typing, vector):
    out = Lanes(types.boolean, vector.length)
    return out(vector), lambda context, builder, signature, args: builder.fcmp_unordered('uno', args[0], args[0])


def _unary(name: str):
    """The function of LLVM of that name, lane by lane."""

    @intrinsic
    def apply(typing, vector):
        def code(context, builder, signature, args):
            kind = args[0].type
            return _call(builder, f'llvm.{name}.v{kind.count}f{vector.dtype.bitwidth}', kind, args)

        return vector(vector), code

    return apply


floor = _unary('floor')
fabs = _unary('fabs')


@intrinsic
def exp(typing, vector):
    """e to the power of each lane, which must not exceed 88 (709 in double precision); to one or two last digits."""
    bits, bias, lowest, terms = {32: (23, 127, -126.0, 8), 64: (52, 1023, -1022.0, 14)}[vector.dtype.bitwidth]

    def code(context, builder, signature, args):
        kind = args[0].type
        integers = ir.VectorType(ir.IntType(vector.dtype.bitwidth), vector.length)

        def splat(number, kind=kind):
            return ir.Constant(kind, [number] * vector.length)

        # 2 ** power: the integer nearest to the power goes into the exponent bits, the rest into a Taylor series.
        power = builder.fmul(args[0], splat(math.log2(math.e)))
        underflow = builder.fcmp_ordered('<', power, splat(lowest))  # false for NaN, which passes through
        power = builder.select(underflow, splat(lowest), power)
        nearest = _call(builder, f'llvm.rint.v{kind.count}f{vector.dtype.bitwidth}', kind, [power])
        rest = builder.fmul(builder.fsub(power, nearest), splat(math.log(2)))
        series = splat(1 / math.factorial(terms - 1))
        for term in reversed(range(terms - 1)):
            series = builder.fadd(builder.fmul(series, rest, flags=FLAGS), splat(1 / math.factorial(term)), flags=FLAGS)
        exponent = builder.add(builder.fptosi(nearest, integers), splat(bias, integers))
        factor = builder.bitcast(builder.shl(exponent, splat(bits, integers)), kind)
        return builder.select(underflow, splat(0.0), builder.fmul(series, factor))

    return vector(vector), code


@intrinsic
def total(typing, vector):
    """The sum of all lanes."""
    return vector.dtype(vector), lambda context, builder, signature, args: _total(builder, args[0])


@intrinsic
def largest(typing, vector):
    """The largest of all lanes that are not NaN."""

    def code(context, builder, signature, args):
        name = f'llvm.vector.reduce.fmax.v{vector.length}f{vector.dtype.bitwidth}'
        return _call(builder, name, args[0].type.element, [args[0]])

    return vector.dtype(vector), code


@intrinsic
def dots(typing, row, a, b, c, d):
    """Four sums of products, of ``row`` with each of the others, as four lanes; fewer shuffles than four `total`."""
    out = Lanes(row.dtype, 4)

    def code(context, builder, signature, args):
        products = [builder.fmul(args[0], other, flags=FLAGS) for other in args[1:]]
        length = row.length
        if length & (length - 1) or length < 4:
            return _four(builder, [_total(builder, product) for product in products])

        def halve(lanes: list, groups: int):
            """The lanes are ``groups`` groups; add the second half of each group to the first."""
            both = sum(lane.type.count for lane in lanes)
            size = both // groups
            picks = [
                [group * size + half * size // 2 + lane for group in range(groups) for lane in range(size // 2)]
                for half in (0, 1)
            ]
            return builder.fadd(*(_pick(builder, lanes[0], lanes[-1], pick) for pick in picks), flags=FLAGS)

        while length * row.dtype.bitwidth > 512 and length > 4:  # until one register holds it
            products, length = [halve([product], 1) for product in products], length // 2
        lanes = halve([halve(products[:2], 2), halve(products[2:], 2)], 4)
        while lanes.type.count > 4:
            lanes = halve([lanes], 4)
        return lanes

    return out(row, a, b, c, d), code


def _shuffle(pick):
    """A function of two vectors of one type; ``pick(n)`` gives the lanes of the result, the second's counted from n."""

    @intrinsic
    def shuffle(typing, a, b):
        lanes = pick(a.length)
        out = Lanes(a.dtype, len(lanes))

        def code(context, builder, signature, args):
            return _pick(builder, args[0], args[1], lanes)

        return out(a, b), code

    return shuffle


evens = _shuffle(lambda n: list(range(0, n, 2)))
odds = _shuffle(lambda n: list(range(1, n, 2)))
fourths = [_shuffle(lambda n, first=first: list(range(first, n, 4))) for first in range(4)]
interleave = _shuffle(lambda n: [half * n + lane for lane in range(n) for half in (0, 1)])


def _operator(op, integer, real, result=None):
    @intrinsic
    def apply(typing, a, b):
        lanes = a if isinstance(a, Lanes) else b
        out = Lanes(result, lanes.length) if result else lanes

        def code(context, builder, signature, args):
            vectors = _vectors(context, builder, signature.args, args, lanes)
            return (real if isinstance(lanes.dtype, types.Float) else integer)(builder, *vectors)

        return out(a, b), code

    @overload(op)
    def operate(a, b):
        if isinstance(a, Lanes) or isinstance(b, Lanes):
            return lambda a, b: apply(a, b)


_operator(operator.add, lambda builder, a, b: builder.add(a, b), lambda builder, a, b: builder.fadd(a, b, flags=FLAGS))
_operator(operator.sub, lambda builder, a, b: builder.sub(a, b), lambda builder, a, b: builder.fsub(a, b, flags=FLAGS))
_operator(operator.mul, lambda builder, a, b: builder.mul(a, b), lambda builder, a, b: builder.fmul(a, b, flags=FLAGS))
_operator(operator.and_, lambda builder, a, b: builder.and_(a, b), None)
_operator(
    operator.ge,
    lambda builder, a, b: builder.icmp_signed('>=', a, b),
    lambda builder, a, b: builder.fcmp_ordered('>=', a, b),
    types.boolean,
)
_operator(
    operator.lt,
    lambda builder, a, b: builder.icmp_signed('<', a, b),
    lambda builder, a, b: builder.fcmp_ordered('<', a, b),
    types.boolean,
)


def _vectors(context, builder, kinds: tuple, args: list, lanes: Lanes) -> list:
    """The arguments, with numbers among them repeated in all lanes."""
    return [
        arg
        if isinstance(kind, Lanes)
        else _splat(builder, context.cast(builder, arg, kind, lanes.dtype), context.get_value_type(lanes))
        for kind, arg in zip(kinds, args)
    ]


def _total(builder, vector):
    kind = vector.type
    name = f'llvm.vector.reduce.fadd.v{kind.count}f{32 if kind.element == ir.FloatType() else 64}'
    return _call(builder, name, kind.element, [ir.Constant(kind.element, -0.0), vector])


def _four(builder, numbers: list):
    lanes = ir.Constant(ir.VectorType(numbers[0].type, 4), ir.Undefined)
    for lane, number in enumerate(numbers):
        lanes = builder.insert_element(lanes, number, ir.IntType(32)(lane))
    return lanes


def _pick(builder, a, b, lanes: list[int]):
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _splat(builder, number, kind: ir.VectorType):
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None))


def _pointer(context, builder, signature, args, kind: ir.VectorType):
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    index = context.cast(builder, args[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _call(builder, name: str, out: ir.Type, args: list):
    function = ir.FunctionType(out, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args, fastmath=FLAGS)
