"""The few transcendental functions the world needs, written out in + - * / and sqrt.

Library versions of these differ between processors and C libraries in their last bits; ours cannot. Each function
states its error. Changing a coefficient changes every result of the world: it is a new core.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from prometheus.v10.core.compiled import compiled

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


def polynomial(coefficients: tuple[float, ...], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Evaluate a polynomial, constant term first, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def natural_log(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Natural logarithm of positive finite ``x``: |relative error| < 1e-13 away from 1.

    Splits x = m 2^e exactly, moves m to [sqrt(1/2), sqrt(2)) and sums 2 artanh((m - 1) / (m + 1)).
    """
    mantissa, exponent = np.frexp(x)
    small = mantissa < SQRT_HALF
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    power = exponent.astype(np.float64) - small
    z = (mantissa - 1.0) / (mantissa + 1.0)
    series = polynomial(tuple(1.0 / k for k in range(1, 18, 2)), z * z)
    return power * LN_2 + 2.0 * z * series


def uniforms(seed: int, birth: int, count: int) -> npt.NDArray[np.float64]:
    """Uniforms in (0, 1), 32 bits each, from Philox keyed by (seed, birth): there is no shared stream to order."""
    key = np.array([seed, birth], dtype=np.uint64)
    raw = np.random.Philox(key=key).random_raw(count)
    return ((raw >> np.uint64(32)).astype(np.float64) + 0.5) / 4294967296.0


def normals(u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard normal quantiles of uniforms of 32-bit resolution (|z| < 6.4); relative error < 1e-12."""
    q = u - 0.5
    r = 0.180625 - q * q
    centre = q * polynomial(CENTRE_NUMERATOR, r) / polynomial(CENTRE_DENOMINATOR, r)
    # Both branches are computed for every u; the clamp keeps the unused tail finite in the centre.
    tail_u = np.minimum(np.minimum(u, 1.0 - u), 0.075)
    s = np.sqrt(-natural_log(tail_u)) - 1.6
    tail = polynomial(TAIL_NUMERATOR, s) / polynomial(TAIL_DENOMINATOR, s)
    return np.where(np.abs(q) <= 0.425, centre, np.where(q < 0.0, -tail, tail))
