# Image with `vis` as its command: docker run --rm -v "$PWD:/data" vis segment holiday.mp4 -o results
FROM python:3.12-slim

# Packages of PyTorch: for CPUs, or for example https://download.pytorch.org/whl/cu126 for NVIDIA GPUs.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Extras of the package, for example onnx,storage to read and write object stores.
ARG EXTRAS=onnx

COPY pyproject.toml README.md LICENSE /src/
COPY vis_cli /src/vis_cli
COPY models /src/models
RUN pip install --no-cache-dir "torch>=2.10.0" "torchvision>=0.25.0" --index-url "$TORCH_INDEX" \
    && pip install --no-cache-dir "/src[$EXTRAS]" \
    && rm -rf /src \
    && useradd --create-home --uid 1000 vis

USER 1000
WORKDIR /data
ENTRYPOINT ["vis"]
CMD ["--help"]
