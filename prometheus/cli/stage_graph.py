"""``prometheus stages``: the chain in words, or as a Mermaid graph."""

from __future__ import annotations

from prometheus.stages import all_stages


def show_stages(*, graph: bool = False) -> int:
    """Print the stages, or their data flow."""
    stages = all_stages()
    if not graph:
        for stage in stages:
            print(f"{stage.name} (revision {stage.revision}): {stage.summary}")
            print(f"  reads  {', '.join(i.table for i in stage.inputs)}")
            print(f"  writes {', '.join(stage.outputs)}")
        return 0
    print("graph LR")
    for stage in stages:
        print(f"  stage_{stage.name}[[{stage.name}]]")
        for declared in stage.inputs:
            arrow = "-.->" if declared.optional else "-->"
            print(f"  {declared.table}[({declared.table})] {arrow} stage_{stage.name}")
        for table in stage.outputs:
            print(f"  stage_{stage.name} --> {table}[({table})]")
    return 0
