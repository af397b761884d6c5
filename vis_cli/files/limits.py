"""All limits for sizes that come from files. An error message that rejects a size contains the limit.

Used by the readers of `files`, `records`, `network` and `training`. The limits are far above real data. They protect
against decompression bombs and damaged headers.
"""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30

MAX_IMAGE_SIDE = 65_535  # pixels; the largest side that JPEG and the video decoders support
MAX_IMAGE_PIXELS = 2**27  # pixels of one image or video frame, 134 million: 400 MB as RGB
MAX_FRAMES = 10_000_000  # frames of one video: 46 hours at 60 frames per second
MAX_RLE_COUNT = 2**32 - 1  # pycocotools stores run lengths in 32 bits
MAX_OUTLINE = 2**22  # length in pixels of all polygons of one mask: 4 million, 300 MB of memory while it is filled

MAX_IMAGE_BYTES = 512 * MIB  # one image file
MAX_JSON_BYTES = 1 * GIB  # one JSON file that is read completely into memory; instances_train2017.json has 450 MB
MAX_JSON_VALUES = 2**26  # values of one JSON file, 67 million: each takes 24 to 64 bytes in memory
MAX_PROBLEMS = 100_000  # of one submission; the check stops at this number
MAX_ENTRY_VALUES = 2**23  # values of one entry of results.json, 8 million
MAX_RESULTS_BYTES = 2 * GIB  # results.json of a submission, which is read one entry at a time
MAX_ENTRY_CHARACTERS = 256 * MIB  # one entry of results.json: 10,000 masks of 25 KB
MAX_DETECTIONS = 2_000_000  # of one detection file: 111 per frame for 10 minutes at 30 frames per second
MAX_DETECTION_BYTES = 1 * GIB  # one detection file, or all files of a YOLO folder
MAX_LINE_CHARACTERS = 2**20  # of one line of a detection file: a polygon with 50,000 corners
MAX_INTEGER = 2**63 - 1  # an integer in a file: an id, a size, a count
MAX_TEXT_BYTES = 16 * MIB  # a list of names, a TOML file, a model card
MAX_CONFIG_BYTES = 1 * MIB  # one TOML file of a training run
MAX_CONFIG_FILES = 100  # files that one training config extends, directly or through others
MAX_CONFIG_DEPTH = 16  # levels of tables and lists in a training config
MAX_CONFIG_CHARACTERS = 1000  # of one string in a training config
MAX_CONFIG_DOTS = 100  # in one line of a training config; the time to parse a key is quadratic in its dots
MAX_STEPS = 100_000_000  # steps of one training run
MAX_LOG_BYTES = 1 * GIB  # log.jsonl of one training run; a step has about 300 bytes
MAX_LOG_LINE_BYTES = 64 * KIB  # one line of log.jsonl
MAX_CATEGORIES = 25_000  # of one model; ImageNet-21k has 21,841 classes, LVIS 1,203
MAX_CHANNELS = 8192  # of one layer of a model
MAX_MASK_CONVS = 64  # convolutions of the mask head
MAX_INPUT_SIDE = 8192  # pixels; short and long side of a model's input
MAX_PARAMETERS = 2**28  # of one model, 268 million: 1 GiB as float32; the largest model of the paper has 127 million
MAX_HEADER_BYTES = 16 * MIB  # the header of a weights file; a model with 740 tensors has 0.1 MiB
MAX_ONNX_BYTES = 2 * GIB - 1  # one ONNX file without external data; the limit of protobuf
MAX_WEIGHTS_BYTES = 8 * GIB  # a weights file or a checkpoint
MAX_MEMBER_BYTES = 1 * GIB  # one member of an archive, uncompressed
MAX_MEMBERS = 500_000  # members of one archive

MAX_PATH_CHARACTERS = 4096  # PATH_MAX of Linux
MAX_NAME_BYTES = 255  # NAME_MAX of common file systems, per component of a path
SHOWN_CHARACTERS = 200  # of a value from a file that a message contains
