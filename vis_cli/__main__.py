"""`python -m vis_cli`, the same as `vis`.

Used where the console script is not on the PATH.
"""

from __future__ import annotations

from vis_cli.app import main

main()
