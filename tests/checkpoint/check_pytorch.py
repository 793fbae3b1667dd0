#!/usr/bin/env python3
"""Loads a checkpoint's backbone.safetensors outside plsc-train.

Always: the file opens with the `safetensors` package (numpy) and its names, types and shapes are those of the network.
Where PyTorch is installed and --input/--expect are given: the network, written again here, loads the file with
load_state_dict(strict=True) and its embeddings of a fixed input equal those that plsc-train wrote.

The network is IResNet as insightface's arcface_torch names it (Deng et al. 2019, the improved residual unit of Han et
al. 2017; BatchNorm first, PReLU, no bottleneck). Exit codes: 0 good, 1 a check failed, 77 a package is missing.
"""

import argparse
import sys

SKIPPED = 77

# network: blocks per stage and the published parameter count in millions (embedding 512, input 112x112), where known
NETWORKS = {
    "iresnet18": ((2, 2, 2, 2), 24.0),
    "iresnet34": ((3, 4, 6, 3), 34.1),
    "iresnet50": ((3, 4, 14, 3), 43.6),
    "iresnet100": ((3, 13, 30, 3), 65.2),
    "iresnet200": ((6, 26, 60, 6), None),
}
STEM = 64
STAGE_CHANNELS = (64, 128, 256, 512)
BN_EPSILON = 1e-5


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def batch_norm_shapes(name, channels):
    shapes = {f"{name}.{part}": ((channels,), "F32") for part in ("weight", "bias", "running_mean", "running_var")}
    shapes[f"{name}.num_batches_tracked"] = ((), "I64")
    return shapes


def expected_tensors(network, embedding, height, width):
    """Name -> (shape, dtype) of every tensor of the network's state."""
    blocks, _ = NETWORKS[network]
    shapes = {"conv1.weight": ((STEM, 3, 3, 3), "F32"), "prelu.weight": ((STEM,), "F32")}
    shapes |= batch_norm_shapes("bn1", STEM)
    channels = STEM
    for stage, (count, width_of_stage) in enumerate(zip(blocks, STAGE_CHANNELS), start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            shapes |= batch_norm_shapes(f"{name}.bn1", channels)
            shapes[f"{name}.conv1.weight"] = ((width_of_stage, channels, 3, 3), "F32")
            shapes |= batch_norm_shapes(f"{name}.bn2", width_of_stage)
            shapes[f"{name}.prelu.weight"] = ((width_of_stage,), "F32")
            shapes[f"{name}.conv2.weight"] = ((width_of_stage, width_of_stage, 3, 3), "F32")
            shapes |= batch_norm_shapes(f"{name}.bn3", width_of_stage)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = ((width_of_stage, channels, 1, 1), "F32")
                shapes |= batch_norm_shapes(f"{name}.downsample.1", width_of_stage)
            channels = width_of_stage
    shapes |= batch_norm_shapes("bn2", channels)
    for _ in STAGE_CHANNELS:
        height, width = (height + 1) // 2, (width + 1) // 2
    shapes["fc.weight"] = ((embedding, channels * height * width), "F32")
    shapes["fc.bias"] = ((embedding,), "F32")
    shapes |= batch_norm_shapes("features", embedding)
    return shapes


def build_network(network, embedding, height, width):
    import torch
    from torch import nn

    def conv3x3(inputs, outputs, stride=1):
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)

    def norm(channels):
        return nn.BatchNorm2d(channels, eps=BN_EPSILON)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride, first):
            super().__init__()
            self.bn1 = norm(inputs)
            self.conv1 = conv3x3(inputs, outputs)
            self.bn2 = norm(outputs)
            self.prelu = nn.PReLU(outputs)
            self.conv2 = conv3x3(outputs, outputs, stride)
            self.bn3 = norm(outputs)
            self.downsample = None
            if first:
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

        def forward(self, x):
            out = self.conv1(self.bn1(x))
            out = self.prelu(self.bn2(out))
            out = self.bn3(self.conv2(out))
            return out + (x if self.downsample is None else self.downsample(x))

    class IResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = conv3x3(3, STEM)
            self.bn1 = norm(STEM)
            self.prelu = nn.PReLU(STEM)
            channels, rows, columns = STEM, height, width
            for stage, (count, outputs) in enumerate(zip(NETWORKS[network][0], STAGE_CHANNELS), start=1):
                blocks = [Block(channels, outputs, 2, True)]
                blocks += [Block(outputs, outputs, 1, False) for _ in range(count - 1)]
                setattr(self, f"layer{stage}", nn.Sequential(*blocks))
                channels, rows, columns = outputs, (rows + 1) // 2, (columns + 1) // 2
            self.bn2 = norm(channels)
            self.dropout = nn.Dropout(p=0.0)
            self.fc = nn.Linear(channels * rows * columns, embedding)
            self.features = nn.BatchNorm1d(embedding, eps=BN_EPSILON)

        def forward(self, x):
            x = self.prelu(self.bn1(self.conv1(x)))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.features(self.fc(self.dropout(torch.flatten(self.bn2(x), 1))))

    return IResNet()


def check_names(tensors, expected):
    """Problems of name, shape and type; empty when the file is right."""
    short = {"float32": "F32", "int64": "I64"}
    problems = [f"missing: {name}" for name in expected if name not in tensors]
    problems += [f"surplus: {name}" for name in tensors if name not in expected]
    for name, (shape, dtype) in expected.items():
        if name not in tensors:
            continue
        found = tensors[name]
        if tuple(found.shape) != shape or short.get(str(found.dtype)) != dtype:
            problems.append(f"{name}: {found.dtype} {tuple(found.shape)}, expected {dtype} {shape}")
    return problems


def read_floats(path, count):
    import numpy

    values = numpy.fromfile(path, dtype="<f4")
    if values.size != count:
        sys.exit(f"{path} holds {values.size} floats, {count} are expected")
    return values


def check_embeddings(arguments, height, width):
    import torch
    from safetensors.torch import load_file

    batch = arguments.shape[0]
    model = build_network(arguments.network, arguments.embedding, height, width)
    model.load_state_dict(load_file(arguments.backbone), strict=True)
    model.eval()
    images = read_floats(arguments.input, batch * 3 * height * width).reshape(batch, 3, height, width)
    expected = read_floats(arguments.expect, batch * arguments.embedding).reshape(batch, arguments.embedding)
    with torch.no_grad():
        embeddings = model(torch.from_numpy(images)).numpy()
    scale = abs(embeddings).max()
    difference = abs(embeddings - expected).max() / scale
    print(f"embeddings [{batch}, {arguments.embedding}]: largest difference {difference:.3g} of the largest value {scale:.4g}")
    return bool(difference <= arguments.tolerance)  # NaN fails too


def check_definition():
    """The networks written here have the published parameter counts, and the names that the file check expects."""
    good = True
    for network, (_, millions) in NETWORKS.items():
        model = build_network(network, 512, 112, 112)
        count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        names = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        expected = {name: shape for name, (shape, _) in expected_tensors(network, 512, 112, 112).items()}
        agrees = names == expected and (millions is None or abs(count - millions) < 0.1)
        good = good and agrees
        published = "" if millions is None else f", published {millions}M"
        print(f"{network}: {count:.2f}M parameters{published}{'' if agrees else ': WRONG'}", flush=True)
    return good


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true", help="check the network definitions of this script (needs torch)")
    parser.add_argument("--backbone", help="backbone.safetensors of a checkpoint")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="iresnet18")
    parser.add_argument("--embedding", type=int, default=512)
    parser.add_argument("--shape", type=lambda text: tuple(int(part) for part in text.split(",")), default=(1, 3, 112, 112),
                        help="N,3,H,W of the input images (default 1,3,112,112)")
    parser.add_argument("--input", help="raw little-endian f32 file: images [N,3,H,W], normalised")
    parser.add_argument("--expect", help="raw little-endian f32 file: embeddings [N,embedding] as plsc-train computed them")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference, relative to the largest value")
    arguments = parser.parse_args()
    if not arguments.self_test and not arguments.backbone:
        parser.error("give --backbone FILE or --self-test")
    if (arguments.input is None) != (arguments.expect is None):
        parser.error("--input and --expect belong together")
    if len(arguments.shape) != 4 or arguments.shape[1] != 3:
        parser.error("--shape is N,3,H,W")
    return arguments


def main():
    arguments = parse_arguments()
    if arguments.self_test:
        try:
            import torch  # noqa: F401
        except ImportError:
            skip("torch is not installed")
        if not check_definition():
            sys.exit("FAILED: the network definitions differ from the published ones")
    if not arguments.backbone:
        return
    try:
        from safetensors.numpy import load_file
    except ImportError:
        skip("the safetensors package is not installed")
    height, width = arguments.shape[2:]
    problems = check_names(load_file(arguments.backbone),
                           expected_tensors(arguments.network, arguments.embedding, height, width))
    if problems:
        sys.exit("FAILED: " + "\n".join([f"{len(problems)} differences in {arguments.backbone}"] + problems[:10]))
    print(f"{arguments.backbone}: every tensor of {arguments.network}, and no other")
    if arguments.input is None:
        return
    try:
        import torch  # noqa: F401
    except ImportError:
        skip("torch is not installed")
    if not check_embeddings(arguments, height, width):
        sys.exit(f"FAILED: embeddings differ by more than {arguments.tolerance}")


if __name__ == "__main__":
    main()
