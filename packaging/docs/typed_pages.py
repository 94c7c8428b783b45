"""Which commands of a page tests type, in both languages; a test holds the names against those tests."""

from __future__ import annotations

TYPED: dict[str, tuple[str, str]] = {
    "docs/evidence": (
        "A test types the commands of this page in their order, and compares what they print with what the page shows.",
        "本页英文版的命令由测试按顺序执行，并把输出与页面所示逐行比较；本页的命令块与英文版相同。",
    ),
    "docs/operations": (
        "Tests type the commands of this page: lines with `$` in a checkout, lines with `#` on a real host.",
        "本页的命令由测试执行：`$` 行在仓库里，`#` 行在真实的主机上。",
    ),
    "docs/reliability": (
        "A test types the commands of the section “What is refused”, and compares what they print with what the page "
        "shows. Of the others a test checks that they exist.",
        "“What is refused”一节（英文版）的命令由测试执行，并比较输出；其余命令，测试只检查其存在。",
    ),
    "README": (
        "A test types what `make run` types, and compares the figures with those shown. Of the other commands a test "
        "checks that they exist.",
        "测试执行 `make run` 的命令，并把数字与英文版所示比较；其余命令，测试只检查其存在。",
    ),
    "": (
        "No test types the commands of this page as they stand; a test checks that every `prometheus-quant` command "
        "exists.",
        "没有测试照原样执行本页的命令；测试检查每个 `prometheus-quant` 命令确实存在。",
    ),
}
"""By document: English, Chinese. The empty name is every other page."""
