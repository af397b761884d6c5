"""The model zoo: folders of models, their composition and import; used by the engine, the trainer and the commands."""

import vis_cli.network  # noqa: F401  # sets the cache folder of torch's compiler before torchvision is imported
