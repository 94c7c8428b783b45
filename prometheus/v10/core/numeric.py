"""The few transcendental functions the world needs, written out in + - * / and sqrt.

Library versions of these differ between processors and C libraries in their last bits; ours cannot. Each function
states its error. Changing a coefficient changes every result of the world: it is a new core.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from prometheus.v10.core.compiled import compiled

Array = npt.NDArray[np.float64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
F32 = np.float32

TANH_NAME = "rational-7/8-clamped-9/v1"

# x P(x^2) / Q(x^2): P of degree 3 and Q of degree 4, fitted to tanh on [0, 9] by reweighted least squares on the
# relative error; beyond 9 tanh is 1 to float32's last bit.
TANH_LIMIT = F32(9.0)
P0, P1, P2, P3 = (
    F32(0.999999617624712),
    F32(0.12835339050273709),
    F32(2.8551064970489823e-3),
    F32(1.0424108167223676e-5),
)
Q1, Q2, Q3, Q4 = (
    F32(0.46168385703100356),
    F32(0.023420026921520735),
    F32(2.252884657681239e-4),
    F32(2.1456695695847497e-7),
)
ONE = F32(1.0)


@compiled
def tanh32(x: np.float32) -> np.float32:
    """Hyperbolic tangent in float32: odd, within [-1, 1], |error| < 7e-7 over all finite x."""
    clamped = min(max(x, -TANH_LIMIT), TANH_LIMIT)
    u = clamped * clamped
    value = clamped * (((P3 * u + P2) * u + P1) * u + P0) / ((((Q4 * u + Q3) * u + Q2) * u + Q1) * u + ONE)
    return min(max(value, -ONE), ONE)


# Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37 (1988): the
# published coefficients of the central region and of the near tail. Our uniforms never reach the far tail.
CENTRE_NUMERATOR = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
CENTRE_DENOMINATOR = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
TAIL_NUMERATOR = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
TAIL_DENOMINATOR = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip

SQRT_HALF = 0.7071067811865476
LN_2 = 0.6931471805599453
# 2 artanh(z) = 2 z (1 + z^2 / 3 + z^4 / 5 ...)
ARTANH = (1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17)

# A float64 is (-1)^sign 2^(exponent - 1022) mantissa, with a mantissa in [1/2, 1): 1 bit, 11 bits, 52 bits.
MANTISSA_BITS, MANTISSA, HALF_EXPONENT = 52, (1 << 52) - 1, 1022 << 52


@compiled
def polynomial7(c: tuple[float, ...], x: float) -> float:
    """A polynomial of degree 7, constant term first, by Horner's rule."""
    return ((((((c[7] * x + c[6]) * x + c[5]) * x + c[4]) * x + c[3]) * x + c[2]) * x + c[1]) * x + c[0]


@compiled
def natural_log(x: float) -> float:
    """Natural logarithm of a positive, normal ``x``: |relative error| < 1e-13 away from 1.

    Splits x = m 2^e exactly, moves m to [sqrt(1/2), sqrt(2)) and sums 2 artanh((m - 1) / (m + 1)).
    """
    bits = np.float64(x).view(np.int64)
    exponent = (bits >> MANTISSA_BITS) - 1022
    mantissa = np.int64((bits & MANTISSA) | HALF_EXPONENT).view(np.float64)
    small = mantissa < SQRT_HALF
    mantissa = mantissa * 2.0 if small else mantissa
    power = np.float64(exponent) - (1.0 if small else 0.0)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    series = polynomial7(ARTANH[1:], z * z) * (z * z) + ARTANH[0]
    return power * LN_2 + 2.0 * z * series


@compiled
def normal_quantile(u: float) -> float:
    """Standard normal quantile of a uniform of 32-bit resolution (|z| < 6.4); relative error < 1e-12.

    Nothing branches, so that many are computed side by side; the clamp keeps the unused tail finite in the centre.
    """
    q = u - 0.5
    r = 0.180625 - q * q
    centre = q * polynomial7(CENTRE_NUMERATOR, r) / polynomial7(CENTRE_DENOMINATOR, r)
    s = np.sqrt(-natural_log(min(u, 1.0 - u, 0.075))) - 1.6
    tail = polynomial7(TAIL_NUMERATOR, s) / polynomial7(TAIL_DENOMINATOR, s)
    return centre if abs(q) <= 0.425 else (-tail if q < 0.0 else tail)


@compiled
def fill_normals(u: Array, z: Array) -> None:
    """``z`` (count,) becomes the normal quantiles of ``u`` (count,)."""
    for i in range(u.shape[0]):
        z[i] = normal_quantile(u[i])


def normals(u: Array) -> Array:
    """Standard normal quantiles of uniforms of 32-bit resolution, same shape."""
    z = np.empty(u.size)
    fill_normals(np.ascontiguousarray(u).reshape(-1), z)
    return z.reshape(u.shape)


# Philox 4x64-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011): the generator behind
# `np.random.Philox`, whose words these are. A block of four words is a function of a counter and a key.
U64 = np.uint64
MULTIPLIERS = (U64(0xD2E7470EE14C6C93), U64(0xCA5A826395121157))
KEY_STEPS = (U64(0x9E3779B97F4A7C15), U64(0xBB67AE8584CAA73B))
ROUNDS, WORDS = 10, 4
LOW, HALF_WORD, NOTHING = U64(0xFFFFFFFF), U64(32), U64(0)


@compiled
def high_word(a: np.uint64, b: np.uint64) -> np.uint64:
    """The upper 64 bits of the 128-bit product of two words, by halves."""
    a_low, a_high, b_low, b_high = a & LOW, a >> HALF_WORD, b & LOW, b >> HALF_WORD
    middle = a_high * b_low + ((a_low * b_low) >> HALF_WORD)
    other = a_low * b_high + (middle & LOW)
    return a_high * b_high + (middle >> HALF_WORD) + (other >> HALF_WORD)


@compiled
def philox_block(counter: np.uint64, seed: np.uint64, birth: np.uint64) -> Words:
    """The four words of block ``counter``, keyed by (``seed``, ``birth``)."""
    c0, c1, c2, c3, k0, k1 = counter, NOTHING, NOTHING, NOTHING, seed, birth
    for _ in range(ROUNDS):
        high0, low0 = high_word(MULTIPLIERS[0], c0), MULTIPLIERS[0] * c0
        high1, low1 = high_word(MULTIPLIERS[1], c2), MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + KEY_STEPS[0], k1 + KEY_STEPS[1]
    return c0, c1, c2, c3


@compiled
def fill_uniforms(seed: np.uint64, births: npt.NDArray[np.uint64], u: Array) -> None:
    """Row k of ``u`` (births, count) becomes the uniforms keyed by (``seed``, ``births[k]``)."""
    count = u.shape[1]
    for k in range(u.shape[0]):
        for block in range((count + WORDS - 1) // WORDS):
            words = philox_block(U64(block + 1), seed, births[k])  # numpy counts before it draws
            for i in range(WORDS):
                if WORDS * block + i < count:
                    u[k, WORDS * block + i] = (np.float64(words[i] >> HALF_WORD) + 0.5) / 4294967296.0


def uniforms(seed: int, births: Sequence[int], count: int) -> Array:
    """Uniforms in (0, 1), 32 bits each, (births, count), from Philox keyed by (seed, birth): there is no shared stream.

    The row of a birth begins with its row of a smaller ``count``.
    """
    u = np.empty((len(births), count))
    with np.errstate(over="ignore"):  # words wrap; numpy minds where the source runs uncompiled
        fill_uniforms(U64(seed), np.array(births, dtype=np.uint64), u)
    return u
