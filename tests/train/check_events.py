"""Reads an event file, written by plsc_train_tests, with the real tensorboard package.

Usage: check_events.py PATH/plsc_train_tests. Exit code 77: skipped, tensorboard is not installed.
"""

import os
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # The hidden test case writes what is checked below.
        subprocess.run(
            [program, "writes an event file for tensorboard"], env={**os.environ, "PLSC_EVENT_DIR": folder}, check=True
        )
        events = event_accumulator.EventAccumulator(folder, size_guidance={event_accumulator.TENSORS: 0})
        events.Reload()

        # Steps from 30 on in the first file are forgotten: the second one resumed there.
        loss = [(event.step, event.value) for event in events.Scalars("train/loss")]
        assert loss == [(10, 4.0), (20, 3.5), (30, 2.5), (1 << 40, 2.0)], loss
        assert [event.value for event in events.Scalars("train/lr")] == [0.125], events.Scalars("train/lr")
        text = events.Tensors("config")[0].tensor_proto.string_val[0].decode()
        assert text == "optim:\n  lr: 0.1  # \u00fc\n" + "x" * 1000, text
        plugin = events.SummaryMetadata("config").plugin_data.plugin_name
        assert plugin == "text", plugin
        assert events.file_version == 2.0, events.file_version
    print("tensorboard reads scalars, texts and restarts")


if __name__ == "__main__":
    main(sys.argv[1])
