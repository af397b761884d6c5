"""Detectors of boxes that are not model folders: torchvision's models, ONNX files, and files of detections."""
