#!/usr/bin/env python3
"""Writes tests/eval/golden_verification.txt: the verification protocol worked out in numpy, independently of the C++.

Accuracy, deviation and threshold follow insightface's verification.py (calculate_roc with sklearn's normalize and KFold
written out). TAR at FAR and AUC are counted over all pairs by brute force. The embeddings come from integer hashing, so
that verification_test.cpp makes the same bits. Needs numpy.
"""

import pathlib

import numpy as np

MASK = (1 << 64) - 1
RATES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
# name, pairs, dimension, noise, seed, quirk
CASES = [
    ("clear", 600, 16, 0.5, 1, "none"),
    ("noisy", 1203, 8, 1.5, 2, "none"),
    ("uneven_folds", 125, 12, 1.0, 3, "none"),
    ("few", 7, 6, 1.0, 4, "none"),
    ("ten_thousand", 20000, 4, 0.75, 5, "none"),
    ("zero_rows", 90, 5, 1.0, 6, "zeros"),
    ("ties", 300, 3, 1.25, 7, "axes"),
]


def uniform(seed, index):
    """In [-1, 1): SplitMix64's finaliser of a counter, exact in double."""
    z = (seed * 0x9E3779B97F4A7C15 + index * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    z ^= z >> 31
    return (z >> 11) / float(1 << 52) - 1.0


def make(pairs, dimension, noise, seed, quirk):
    rows = np.zeros((2 * pairs, dimension), np.float32)
    same = np.zeros(pairs, bool)
    draw = 0
    for pair in range(pairs):
        same[pair] = uniform(seed + 1000, pair) < 0.0 if pairs > 10 else pair % 2 == 0
        person = None
        for side in range(2):
            if person is None or not same[pair]:
                person = [uniform(seed, draw + i) for i in range(dimension)]
                draw += dimension
            values = [person[i] + noise * uniform(seed, draw + i) for i in range(dimension)]
            draw += dimension
            if quirk in ("axes", "zeros"):  # unit vectors along the axes: every distance is an integer
                longest = max(range(dimension), key=lambda i: abs(values[i]))
                values = [(1.0 if values[i] > 0 else -1.0) if i == longest else 0.0 for i in range(dimension)]
            if quirk == "zeros" and (2 * pair + side) % 7 == 0:
                values = [0.0] * dimension
            rows[2 * pair + side] = np.array(values, np.float64).astype(np.float32)
    return rows, same


def distances_of(rows):
    rows = rows.astype(np.float64)
    norms = np.sqrt((rows * rows).sum(1))
    norms[norms == 0] = 1
    rows = rows / norms[:, None]
    return np.sum(np.square(rows[0::2] - rows[1::2]), 1)


def folds_of(count, folds):
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    ends = np.cumsum(sizes)
    for begin, end in zip(ends - sizes, ends):
        test = np.arange(begin, end)
        yield np.setdiff1d(np.arange(count), test), test


def verify(dist, same):
    thresholds = np.arange(0, 4, 0.01)
    accuracies, best = [], []
    for train, test in folds_of(len(dist), min(10, len(dist))):
        correct = [np.mean(np.less(dist[train], t) == same[train]) for t in thresholds]
        best.append(thresholds[np.argmax(correct)])
        accuracies.append(np.mean(np.less(dist[test], best[-1]) == same[test]))
    return np.mean(accuracies), np.std(accuracies), np.mean(best)


def tar_at(far, positive, negative):
    """The best over every threshold that could matter."""
    tar = 0.0
    for threshold in np.unique(np.concatenate([negative, [0.0]])):
        if np.count_nonzero(negative < threshold) <= far * len(negative) + 1e-9:
            tar = max(tar, np.count_nonzero(positive < threshold) / len(positive))
    return tar


def auc_of(positive, negative):
    total = 0.0
    for distance in positive:
        total += np.count_nonzero(distance < negative) + 0.5 * np.count_nonzero(distance == negative)
    return total / (len(positive) * len(negative))


def main():
    lines = ["# name pairs dimension noise seed quirk | same accuracy deviation threshold auc | tar at 1e-1 ... 1e-6"]
    for name, pairs, dimension, noise, seed, quirk in CASES:
        rows, same = make(pairs, dimension, noise, seed, quirk)
        dist = distances_of(rows)
        accuracy, deviation, threshold = verify(dist, same)
        positive, negative = dist[same], dist[~same]
        if name == "ten_thousand":  # brute force over 10,000 thresholds is slow; few can matter
            nearest = np.sort(negative)[: int(0.1 * len(negative)) + 2]
            tar = [
                np.count_nonzero(positive < nearest[int(rate * len(negative) + 1e-9)]) / len(positive) for rate in RATES
            ]
        else:
            tar = [tar_at(rate, positive, negative) for rate in RATES]
        numbers = [accuracy, deviation, threshold, auc_of(positive, negative), *tar]
        lines.append(
            f"{name} {pairs} {dimension} {noise} {seed} {quirk} {int(same.sum())} "
            + " ".join(repr(float(n)) for n in numbers)
        )
    (pathlib.Path(__file__).parent / "golden_verification.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
