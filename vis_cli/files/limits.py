"""All limits for sizes that come from files. A message that rejects a size states the limit.

Used by the readers of `files`, `records`, `network` and `training`. The limits are far above real data: they stop
decompression bombs and damaged headers, not users.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

MAX_IMAGE_SIDE = 65_535  # pixels; the largest side that JPEG and the video decoders support
MAX_IMAGE_PIXELS = 2**27  # pixels of one image or video frame, 134 million: 400 MB as RGB
MAX_FRAMES = 10_000_000  # frames of one video: 46 hours at 60 frames per second
MAX_RLE_COUNT = 2**32 - 1  # pycocotools counts runs in 32 bits

MAX_IMAGE_BYTES = 512 * MIB  # one image file
MAX_JSON_BYTES = 1 * GIB  # one JSON file that is held in memory as a whole; instances_train2017.json has 450 MB
MAX_TEXT_BYTES = 16 * MIB  # a list of names, a TOML file, a model card
MAX_WEIGHTS_BYTES = 8 * GIB  # a weights file or a checkpoint
MAX_MEMBER_BYTES = 1 * GIB  # one member of an archive, uncompressed
MAX_MEMBERS = 2_000_000  # members of one archive

MAX_PATH_CHARACTERS = 4096  # PATH_MAX of Linux
MAX_NAME_BYTES = 255  # NAME_MAX of common file systems, per component of a path
SHOWN_CHARACTERS = 200  # of a value from a file, in a message
