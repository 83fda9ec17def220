"""One window at a time, in plain Python: what the vectorised slots must equal."""

from __future__ import annotations

import math
from collections.abc import Sequence


def reference_slots(
    returns: Sequence[float | None],
    log_volume: Sequence[float | None],
    window: int,
    horizons: Sequence[int] = (5, 10, 21, 42, 63),
) -> dict[str, float]:
    """Slots of the blocks window, scales and stability before centring and clipping, of the window that ends with the series.

    ``returns`` are log returns of consecutive sessions, None where unknown; ``log_volume`` likewise.
    """
    r = list(returns)
    known = [x for x in r[-504:] if x is not None]
    sigma = math.sqrt(sum(x * x for x in known) / len(known))
    out: dict[str, float] = {}

    path = [0.0]
    for x in r:
        path.append(path[-1] + (x or 0.0))
    path = path[1:]
    last = path[-window:]
    volumes = sorted(v for v in log_volume[-252:] if v is not None)
    middle = scale = None
    if len(volumes) >= 63:
        order = [volumes[math.floor(q * (len(volumes) - 1))] for q in (0.25, 0.5, 0.75)]
        middle, scale = order[1], max((order[2] - order[0]) / 1.349, 0.1)
    for i in range(window):
        lag = i - window + 1
        v = log_volume[len(r) - window + i]
        out[f"window.path[{lag}]"] = (last[i] - last[-1]) / (sigma * math.sqrt(window))
        out[f"window.volume[{lag}]"] = 0.0 if v is None or middle is None else (v - middle) / scale
        out[f"window.return[{lag}]"] = (r[len(r) - window + i] or 0.0) / sigma

    for w in horizons:
        x = [v for v in r[-w:] if v is not None]
        out[f"scales.return_{w}"] = sum(x) / (sigma * math.sqrt(w)) if x else 0.0
        if x:
            rms = math.sqrt(sum(v * v for v in x) / len(x))
            down = math.sqrt(2 * sum(min(v, 0.0) ** 2 for v in x) / len(x))
            out[f"scales.volatility_ratio_{w}"] = math.log(max(rms / sigma, 0.05))
            out[f"scales.downside_ratio_{w}"] = math.log(max(down / sigma, 0.2))
    for w in (5, 21, 63, 252):
        x = [v for v in r[-w:] if v is not None]
        if x:
            rms = math.sqrt(sum(v * v for v in x) / len(x))
            out[f"scales.volatility_level_{w}"] = math.log(max(rms * math.sqrt(252), 0.005) / 0.25)

    peak, fall = -math.inf, 0.0
    for value in last:
        peak = max(peak, value)
        fall = max(fall, peak - value)
    out["scales.max_drawdown"] = fall / (sigma * math.sqrt(window))
    out["scales.current_drawdown"] = (peak - last[-1]) / (sigma * math.sqrt(window))

    x = [v for v in r[-window:] if v is not None]
    n, mean = len(x), sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / n
    out["scales.skewness"] = sum((v - mean) ** 3 for v in x) / n / variance**1.5
    before = r[-window - 1 : -1]
    pairs = [(a, b) for a, b in zip(before, r[-window:], strict=True) if a is not None and b is not None]
    products = sum(a * b for a, b in pairs) / len(pairs)
    out["scales.autocorrelation"] = (products - mean * mean) / variance
    absolute = sum(abs(v) for v in x) / n
    spread = sum(v * v for v in x) / n - absolute**2
    products = sum(abs(a * b) for a, b in pairs) / len(pairs)
    out["scales.absolute_autocorrelation"] = (products - absolute**2) / spread
    out["scales.largest_move"] = math.log(max(max(abs(v) for v in x) / sigma, 0.05))

    out["scales.volume_known"] = 0.0 if middle is None else 1.0
    for w in (5, 21):
        v = [a for a in log_volume[-w:] if a is not None]
        if v and middle is not None:
            out[f"scales.volume_ratio_{w}"] = (sum(v) / len(v) - middle) / scale
    v = [a for a in log_volume[-21:] if a is not None]
    if len(v) > 1 and middle is not None:
        m = sum(v) / len(v)
        spread = math.sqrt(sum((a - m) ** 2 for a in v) / len(v)) / scale
        out["scales.volume_dispersion"] = math.log(max(spread, 0.05))
    out.update(_stability(r, path, log_volume, window, sigma))
    return out


def _stability(
    r: list[float | None], path: list[float], log_volume: Sequence[float | None], window: int, sigma: float
) -> dict[str, float]:
    out: dict[str, float] = {}
    n = len(r)
    illiquidity: list[float | None] = [None] * max(n - 252, 0)
    for s in range(max(n - 252, 0), n):
        terms = [
            max(abs(x), 1e-5) * math.exp(-v)
            for x, v in zip(r[max(s - 20, 0) : s + 1], log_volume[max(s - 20, 0) : s + 1], strict=True)
            if x is not None and v is not None
        ]
        illiquidity.append(math.log(sum(terms) / len(terms)) if len(terms) >= 10 else None)
    past = sorted(a for a in illiquidity[-252:] if a is not None)
    for s in range(n - window, n):
        lag = s - n + 1
        x = [v for v in r[max(s - 20, 0) : s + 1] if v is not None]
        if x:
            rms = math.sqrt(sum(v * v for v in x) / len(x))
            out[f"stability.volatility[{lag}]"] = math.log(max(rms / sigma, 0.05))
        peak = max(path[max(s - window + 1, 0) : s + 1])
        out[f"stability.drawdown[{lag}]"] = (peak - path[s]) / (sigma * math.sqrt(window))
        now = illiquidity[s]
        if now is not None and len(past) >= 63:
            low, middle, high = (past[math.floor(q * (len(past) - 1))] for q in (0.25, 0.5, 0.75))
            out[f"stability.illiquidity[{lag}]"] = (now - middle) / max((high - low) / 1.349, 0.1)
    return out
