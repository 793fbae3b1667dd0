#!/usr/bin/env python3
"""The peer of bench_head: the same step in PyTorch f32 on the CPU. Normalised rows and embeddings, ArcFace on the
target (insightface's form: margin without gradient, slope 1), cross-entropy, SGD with momentum and weight decay.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F


def step(embeddings, weight, labels, optimizer, scale, margin):
    cosine = F.linear(F.normalize(embeddings), F.normalize(weight)).clamp(-1, 1)
    rows = torch.arange(len(labels))
    with torch.no_grad():
        target = torch.cos(torch.acos(cosine[rows, labels]) + margin)
        cosine[rows, labels] = target
    loss = F.cross_entropy(cosine * scale, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=100000)
    parser.add_argument("--embedding", type=int, default=512)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(arguments.classes, arguments.embedding) * 0.01)
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=5e-4)
    embeddings = torch.randn(arguments.batch, arguments.embedding, requires_grad=True)
    labels = torch.randint(arguments.classes, (arguments.batch,))
    seconds = []
    for _ in range(arguments.steps + 1):
        begin = time.perf_counter()
        embeddings.grad = None
        loss = step(embeddings, weight, labels, optimizer, 64.0, 0.5)
        seconds.append(time.perf_counter() - begin)
    seconds = seconds[1:]  # the first touches memory for the first time
    products = 6.0 * arguments.classes * arguments.embedding * arguments.batch
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads")
    print(
        f"classes {arguments.classes} x {arguments.embedding}, batch {arguments.batch}: best {min(seconds) * 1e3:.1f} ms, "
        f"median {statistics.median(seconds) * 1e3:.1f} ms per step, {products / min(seconds) * 1e-9:.0f} GFLOP/s at best; "
        f"loss {loss.item():.4f}"
    )


if __name__ == "__main__":
    main()
