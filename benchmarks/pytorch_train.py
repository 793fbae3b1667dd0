#!/usr/bin/env python3
"""The same training in PyTorch, as arcface_torch does it: IResNet, ArcFace or CosFace, SGD, polynomial schedule.

Peer of `plsc-train --config configs/lfw_iresnet_tiny.yaml`: same list, network, batch, steps, learning rate, decay,
clipping, flip and evaluation protocol. Prints one line per log interval and a last JSON line.
"""

import argparse
import io
import json
import math
import pickle
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

BLOCKS = {"iresnet18": (2, 2, 2, 2), "iresnet34": (3, 4, 6, 3), "iresnet50": (3, 4, 14, 3),
          "iresnet100": (3, 13, 30, 3), "iresnet_tiny": (1, 1, 1, 1)}
WIDTHS = {"iresnet_tiny": (16, 32, 64, 128)}


class Block(nn.Module):
    """BN - conv - BN - PReLU - conv(stride) - BN + shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    def __init__(self, name, size, embedding):
        super().__init__()
        widths = WIDTHS.get(name, (64, 128, 256, 512))
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU(widths[0])
        channels = widths[0]
        for stage, (count, width) in enumerate(zip(BLOCKS[name], widths)):
            blocks = []
            for i in range(count):
                blocks.append(Block(channels, width, 2 if i == 0 else 1))
                channels = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        for _ in range(4):
            size = (size + 1) // 2
        self.bn2 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels * size * size, embedding)
        self.features = nn.BatchNorm1d(embedding)
        nn.init.constant_(self.features.weight, 1.0)
        self.features.weight.requires_grad = False
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.1)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(torch.flatten(self.bn2(x), 1)))


class ArcMargin(torch.autograd.Function):
    """cos(theta + m) with the exact derivative and the guard for theta + m > pi."""

    @staticmethod
    def forward(ctx, cosine, margin):
        sine = torch.sqrt(torch.clamp(1 - cosine * cosine, min=1e-12))
        value = cosine * math.cos(margin) - sine * math.sin(margin)
        slope = math.cos(margin) + cosine * math.sin(margin) / sine.clamp(min=1e-4)
        inside = cosine > math.cos(math.pi - margin)
        ctx.save_for_backward(torch.where(inside, slope, torch.ones_like(slope)))
        return torch.where(inside, value, cosine - margin * math.sin(math.pi - margin))

    @staticmethod
    def backward(ctx, gradient):
        (slope,) = ctx.saved_tensors
        return gradient * slope, None


def read_list(path, root):
    paths, labels = [], []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, label = line.rstrip("\n").rsplit("\t", 1)
            paths.append(f"{root}/{name}")
            labels.append(int(label))
    return paths, np.array(labels)


def decode(data, size):
    image = Image.open(data).convert("RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def normalize(images):
    return (images.float() - 127.5) / 127.5


@torch.no_grad()
def verify(model, path, size, batch):
    with open(path, "rb") as file:
        bins, same = pickle.load(file, encoding="bytes")
    model.eval()
    pixels = torch.from_numpy(np.stack([decode(io.BytesIO(bytes(b)), size) for b in bins]))
    parts = []
    for start in range(0, len(pixels), batch):
        x = normalize(pixels[start:start + batch])
        parts.append(model(x) + model(torch.flip(x, [3])))
    model.train()
    features = F.normalize(torch.cat(parts)).double().numpy()
    distance = ((features[0::2] - features[1::2]) ** 2).sum(1)
    same = np.array(same, dtype=bool)
    thresholds = np.arange(0, 4, 0.01)
    right = (distance[None, :] < thresholds[:, None]) == same[None, :]
    folds = np.array_split(np.arange(len(same)), 10)
    accuracy = []
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(same)), fold)
        best = right[:, rest].mean(1).argmax()
        accuracy.append(right[best, fold].mean())
    return float(np.mean(accuracy))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--verification")
    parser.add_argument("--network", default="iresnet18")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--embedding", type=int, default=512)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--max-steps", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--warmup-epochs", type=float, default=0)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--margin", type=float, default=0.5)
    parser.add_argument("--loss", choices=["arcface", "cosface"], default="arcface")
    parser.add_argument("--scale", type=float, default=64)
    parser.add_argument("--init-std", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", choices=["nchw", "channels_last"], default="channels_last")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--log-every", type=int, default=10)
    parser.add_argument("--seed", type=int, default=2048)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    paths, labels = read_list(args.list, args.root)
    classes = int(labels.max()) + 1
    model = IResNet(args.network, args.size, args.embedding)
    if args.layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    rows = nn.Parameter(torch.empty(classes, args.embedding).normal_(0, args.init_std))
    backbone = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD([*backbone, rows], lr=args.lr, momentum=0.9, weight_decay=args.weight_decay)
    run = torch.compile(model) if args.compile else model
    per_epoch = len(paths) / args.batch
    total = args.max_steps or math.ceil(args.epochs * per_epoch)
    warmup = args.warmup_epochs * per_epoch
    generator = np.random.default_rng(args.seed)
    order = np.empty(0, dtype=np.int64)
    started = time.perf_counter()
    warm = None
    for step in range(total):
        if len(order) < args.batch:
            order = np.concatenate([order, generator.permutation(len(paths))])
        chosen, order = order[:args.batch], order[args.batch:]
        pixels = np.stack([decode(paths[i], args.size)[:, :, ::-1 if generator.random() < 0.5 else 1] for i in chosen])
        x = normalize(torch.from_numpy(np.ascontiguousarray(pixels)))
        if args.layout == "channels_last":
            x = x.contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(labels[chosen])
        rate = args.lr * (step / warmup if step < warmup else 1 - (step - warmup) / max(1, total - warmup))
        for group in optimizer.param_groups:
            group["lr"] = rate
        cosine = F.linear(F.normalize(run(x)), F.normalize(rows)).clamp(-1, 1)
        target = cosine.gather(1, y[:, None])
        moved = ArcMargin.apply(target, args.margin) if args.loss == "arcface" else target - args.margin
        loss = F.cross_entropy(args.scale * cosine.scatter(1, y[:, None], moved), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(backbone, 5)
        optimizer.step()
        if step == 4:
            warm = time.perf_counter()
        if (step + 1) % args.log_every == 0 or step + 1 == total:
            print(f"step {step + 1}/{total} loss {loss.item():.4f} lr {rate:.4f}", flush=True)
    ended = time.perf_counter()
    result = {"steps": total, "seconds": ended - started,
              "images_per_second": (total - 5) * args.batch / (ended - warm) if warm and total > 5 else None,
              "torch": torch.__version__}
    if args.verification:
        result["accuracy"] = verify(model, args.verification, args.size, args.batch)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
