"""`vis segment`: detect, segment and track the objects of videos.

Registered by `app`. `segment_run` does the work. It is imported late, so that the help page needs neither NumPy nor
FFmpeg.
"""

from __future__ import annotations

from vis_cli import options
from vis_cli.commands.option_groups import grouped
from vis_cli.import_pause import pause_collector


@grouped
def segment(
    inputs: options.Inputs,
    out: options.OutFolder,
    *,
    model: options.ModelOptions,
    method: options.MethodOptions,
    masks: options.MaskOptions,
    detections: options.DetectionOptions,
    prompts: options.PromptOptions,
    part: options.PartOptions,
    live: options.LiveOptions,
    run: options.RunOptions,
    output: options.OutputOptions,
    messages: options.MessageOptions,
) -> None:
    """Detect, segment and track the objects of videos.

    DIR/NAME.json stores the classes and scores of each object of the video NAME, and its mask in every frame.

    DIR/NAME.mp4 is an overlay video: it shows the masks of confident objects. --min-score 0 shows all objects.

    A video is skipped if it has a result of the same content, settings, model, and given masks, detections or prompts.

    To resume an interrupted batch, run the same command again.

    `vis segment --help-all` lists all options. `vis settings` lists the settings for --set.

    Options that only --help-all lists: --start and --end select a part of the video, --only, --box and --point select
    objects, and --live segments a camera or a stream.
    """
    with pause_collector():
        from vis_cli.commands.segment_run import segment_inputs

    segment_inputs(
        inputs,
        out,
        model=model,
        method=method,
        masks=masks,
        detections=detections,
        prompts=prompts,
        part=part,
        live=live,
        run=run,
        output=output,
        messages=messages,
    )
