"""Quantisation in blocks, written once more in NumPy: the same float32 operations in the same order as the exporter.

A value is (code - zero point) * scale. `rtn` takes scale and zero point from the block's extremes. `search` also tries ranges up to
9 * 1.25 % wider or narrower; each candidate's codes get their least-squares scale, and the one with the smallest squared error wins.
"""

import numpy as np

F = np.float32
ROUNDING = F(12582912.0)  # 1.5 * 2^23: added and taken away again, it rounds to the nearest whole number, ties to even
STEPS = [0, *[s for s in range(-9, 10) if s != 0]]
LANES = 8


def rounded(x):
    return (x + ROUNDING) - ROUNDING


def inverse(x):
    with np.errstate(divide="ignore", over="ignore"):
        y = F(1) / x
    return np.where(np.isfinite(y), y, F(0)).astype(F)


def quantize_symmetric(x, scale, bits):
    inv, middle = inverse(scale), F(1 << (bits - 1))
    codes = np.clip(rounded(x * inv[:, None]) + middle, F(0), F((1 << bits) - 1))
    return codes, np.where(inv == 0, F(0), scale), np.full_like(scale, middle)


def quantize_affine(x, low, high, bits):
    last = F((1 << bits) - 1)
    scale = (high - low) / last
    inv = inverse(scale)
    zero = np.clip(rounded(-low * inv), F(0), last)
    codes = np.clip(rounded(x * inv[:, None]) + zero[:, None], F(0), last)
    return codes, np.where(inv == 0, F(0), scale), zero


def lane_sums(terms):
    """Sums along the last axis as eight running lanes, then the lanes in order."""
    lanes = np.zeros((len(terms), LANES), F)
    for start in range(0, terms.shape[1], LANES):
        lanes = lanes + terms[:, start : start + LANES]
    total = np.zeros(len(terms), F)
    for lane in range(LANES):
        total = total + lanes[:, lane]
    return total


def quantize(x, bits, symmetric, method):
    """Codes, scale and zero point of each row of `x`, float32 [blocks, block size]."""
    first = np.abs(x).argmax(1)
    own = x[np.arange(len(x)), first] / F(-(1 << (bits - 1)))
    low, high = np.minimum(x.min(1), F(0)), np.maximum(x.max(1), F(0))

    def candidate(step):
        factor = F(1) + F(step) * F(0.0125)
        if symmetric:
            return quantize_symmetric(x, own if method == "rtn" else own / factor, bits)
        return quantize_affine(x, *((low, high) if method == "rtn" else (low / factor, high / factor)), bits)

    if method == "rtn":
        return candidate(0)
    best = best_gain = None
    for step in STEPS:
        codes, scale, zero = candidate(step)
        c = codes - zero[:, None]
        product, square = lane_sums(x * c), lane_sums(c * c)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gain = np.where(square > 0, product * product / square, F(0)).astype(F)
            fitted = product / square
        scale = np.where(np.isfinite(fitted), fitted, scale).astype(F)
        if best is None:
            best, best_gain = [codes, scale, zero], gain
            continue
        better = gain > best_gain
        best_gain = np.where(better, gain, best_gain)
        best = [np.where(better[:, None] if a.ndim == 2 else better, a, b) for a, b in zip((codes, scale, zero), best)]
    return best


def unquantize(codes, scale, zero):
    """Float32 values of codes [blocks, block size]."""
    return (codes.astype(F) - zero.astype(F)[:, None]) * scale.astype(F)[:, None]


def relative_error(x, values):
    """What was lost: the squared error over the sum of squares, in float64."""
    x = x.astype(np.float64)
    return ((x - values) ** 2).sum() / (x**2).sum()


def unpack(packed, bits):
    """Packed bytes along the last axis to codes; of two 4-bit codes the first is in the low half."""
    if bits == 8:
        return packed.astype(F)
    return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1).astype(F)
