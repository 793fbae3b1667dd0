#!/usr/bin/env python3
"""Writes golden/classifier.txt: losses, embedding gradients and class rows of three steps of SGD, by PyTorch in double.

The margins follow the published formulas of insightface (recognition/arcface_torch/losses.py and, with the
continuation past pi, recognition/arcface_mxnet), written anew. Usage: make_golden.py [output file]
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F

SAMPLES, CLASSES, COLUMNS, STEPS = 9, 11, 6, 3
RATE, MOMENTUM, DECAY, SCALE = 0.125, 0.875, 0.0078125, 32.0


def arcface_exact(cosine, m):
    sine = torch.sqrt(1 - cosine**2)
    inside = cosine * math.cos(m) - sine * math.sin(m)
    past = cosine - m * math.sin(math.pi - m)
    return torch.where(cosine > math.cos(math.pi - m), inside, past)


def straight_through(cosine, function):
    """The margin's value, the cosine's gradient: what an update inside no_grad amounts to."""
    return cosine + (function(cosine) - cosine).detach()


MARGINS = {
    "norm_softmax": lambda c: c,
    "arcface_exact": lambda c: arcface_exact(c, 0.5),
    "arcface_straight_through": lambda c: straight_through(c, lambda v: torch.cos(torch.acos(v) + 0.5)),
    "cosface": lambda c: c - 0.4,
    "combined_exact": lambda c: torch.cos(1.0 * torch.acos(c) + 0.3) - 0.2,
    "combined_straight_through": lambda c: straight_through(c, lambda v: torch.cos(0.9 * torch.acos(v) + 0.4) - 0.15),
}


def rounded(tensor):
    """Values that f32 holds exactly."""
    return tensor.float().double()


def logits_of(name, x, weight, bias, labels):
    if name == "softmax":
        return F.linear(x, weight, bias)
    cosine = F.linear(F.normalize(x), F.normalize(weight))
    target = torch.zeros_like(cosine, dtype=torch.bool)
    target[torch.arange(len(labels)), labels] = True
    return SCALE * torch.where(target, MARGINS[name](cosine), cosine)


def run(name, batches, start):
    weight = start.clone().requires_grad_()
    bias = torch.zeros(CLASSES, dtype=torch.float64, requires_grad=True)
    parameters = [weight, bias] if name == "softmax" else [weight]
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True)
    losses, gradient = [], None
    for x, labels in batches:
        x = x.clone().requires_grad_()
        loss = F.cross_entropy(logits_of(name, x, weight, bias, labels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        gradient = x.grad
    return {"losses": torch.tensor(losses), "d_x": gradient, "weight": weight.detach(), "bias": bias.detach()}


def line(name, tensor):
    return name + " " + " ".join(f"{value:.10g}" for value in tensor.flatten().tolist())


def main():
    torch.manual_seed(3)
    start = rounded(torch.randn(CLASSES, COLUMNS, dtype=torch.float64) * 0.3)
    batches = []
    for _ in range(STEPS):
        x = rounded(torch.randn(SAMPLES, COLUMNS, dtype=torch.float64))
        labels = torch.randint(CLASSES, (SAMPLES,))
        x[0] = rounded(-1.5 * start[labels[0]] + 0.05)  # an angle past pi - m
        batches.append((x, labels))
    lines = [f"# written by tests/head/make_golden.py with PyTorch {torch.__version__.split('+')[0]}"]
    lines.append(line("start", start))
    for step, (x, labels) in enumerate(batches):
        lines += [line(f"x{step}", x), line(f"labels{step}", labels)]
    for name in ["softmax", *MARGINS]:
        lines += [line(f"{name}.{key}", value) for key, value in run(name, batches, start).items()]
    default = pathlib.Path(__file__).parent / "golden" / "classifier.txt"
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
