"""The blocks that numeric models are put together from."""

from __future__ import annotations

from prometheus.spaces.numeric.exposures import ExposuresBlock
from prometheus.spaces.numeric.fundamentals import FundamentalsBlock
from prometheus.spaces.numeric.scales import ScalesBlock
from prometheus.spaces.numeric.slots import SlotBlock
from prometheus.spaces.numeric.stability import StabilityBlock
from prometheus.spaces.numeric.window import PlainBlock, WindowBlock

BLOCKS: dict[str, SlotBlock] = {
    block.name: block
    for block in (WindowBlock(), ScalesBlock(), StabilityBlock(), FundamentalsBlock(), ExposuresBlock(), PlainBlock())
}
