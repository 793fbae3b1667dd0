// Images per second of the data path: decoding alone, with augmentation, and the whole loader, by number of threads;
// per second of the clock and per second of a core (what a busy machine still tells).
//   bench_loader --list train.txt [--root DIR] | --folder DIR   [--seconds 2] [--threads 1,2,4] [--batch 128] [--size
//   112]

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "plsc/core/error.h"
#include "plsc/data/augment.h"
#include "plsc/data/image.h"
#include "plsc/data/loader.h"
#include "plsc/data/sample_reader.h"
#include "plsc/data/source.h"

namespace {

using plsc::data::SampleSource;
using Clock = std::chrono::steady_clock;

struct Settings {
  plsc::config::DataConfig data;
  std::vector<int> threads = {1, 2};
  double seconds = 2;
  std::int64_t batch = 128;
  std::uint64_t samples = 4096;  ///< files that decode and augment go through, kept in memory
};

struct Rate {
  double per_second = 0;
  double per_core_second = 0;
};

/// Counts the clock and the process's own time on cores.
class Meter {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  Rate rate(std::uint64_t images) const {
    const double cores = static_cast<double>(std::clock() - core_start_) / CLOCKS_PER_SEC;
    return {static_cast<double>(images) / seconds(), static_cast<double>(images) / cores};
  }

 private:
  Clock::time_point start_ = Clock::now();
  std::clock_t core_start_ = std::clock();  // all threads of the process
};

/// Encoded files in memory: the rows "decode" and "augment" leave the disk out.
std::vector<std::vector<std::byte>> read_files(const SampleSource& source, std::uint64_t most) {
  std::vector<std::vector<std::byte>> files(std::min(source.size(), most));
  for (std::size_t i = 0; i < files.size(); ++i) source.read(i, files[i]);
  return files;
}

/// `threads` threads, each of which calls its own body with i = 0, 1, ... until the time is up.
Rate rate(int threads, double seconds, const std::function<std::function<void(std::uint64_t)>(int)>& make_body) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> images = 0;
  std::vector<std::jthread> team;
  const Meter meter;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      const auto body = make_body(t);
      std::uint64_t done = 0;
      while (!stop) body(static_cast<std::uint64_t>(t) * 7919 + done++);
      images += done;
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  team.clear();
  return meter.rate(images);
}

Rate decode_rate(const std::vector<std::vector<std::byte>>& files, const Settings& settings, int threads,
                 bool augment) {
  const plsc::config::DataConfig& data = settings.data;
  return rate(threads, settings.seconds, [&](int) -> std::function<void(std::uint64_t)> {
    struct Worker {
      plsc::data::ImageDecoder decoder;
      plsc::data::Image image;
      plsc::data::ResizeBuffers buffers;
      std::vector<std::uint8_t> planes;
    };
    auto worker = std::make_shared<Worker>();
    worker->planes.resize(3 * static_cast<std::size_t>(data.height) * static_cast<std::size_t>(data.width));
    return [&files, &data, worker, augment](std::uint64_t i) {
      worker->decoder.decode(files[i % files.size()], worker->image);
      if (!augment) return;
      plsc::data::resize(worker->image, data.height, data.width, worker->buffers);
      const auto drawn = plsc::data::draw_augmentation(1, i, i, data.flip, data.random_crop);
      plsc::data::to_planes(worker->image, drawn.dy, drawn.dx, drawn.mirror, worker->planes.data());
    };
  });
}

Rate loader_rate(const SampleSource& source, const Settings& settings, int threads) {
  plsc::data::LoaderOptions options;
  options.data = settings.data;
  options.data.workers = threads;
  options.seed = 1;
  options.global_batch = settings.batch;
  const auto loader = plsc::data::make_loader(source, options);
  loader->next();  // threads started, buffers made
  std::int64_t images = 0;
  const Meter meter;
  while (meter.seconds() < settings.seconds) images += loader->next().valid;
  return meter.rate(static_cast<std::uint64_t>(images));
}

void run(const Settings& settings) {
  const auto source = plsc::data::open_source(settings.data);
  const auto files = read_files(*source, settings.samples);
  std::size_t bytes = 0;
  for (const auto& file : files) bytes += file.size();
  fmt::print("{} samples, {} classes, {:.1f} KB each; {} x {}, batch {}, {} cores\n", source->size(),
             source->num_classes(), static_cast<double>(bytes) / static_cast<double>(files.size()) / 1024,
             settings.data.height, settings.data.width, settings.batch, std::thread::hardware_concurrency());
  fmt::print("images per second (per second of a core)\n{:>8} {:>18} {:>18} {:>18}\n", "threads", "decode",
             "decode+augment", "loader");
  const auto cell = [](const Rate& rate) {
    return fmt::format("{:.0f} ({:.0f})", rate.per_second, rate.per_core_second);
  };
  for (const int threads : settings.threads) {
    const Rate decode = decode_rate(files, settings, threads, false);
    const Rate augment = decode_rate(files, settings, threads, true);
    const Rate loader = loader_rate(*source, settings, threads);
    fmt::print("{:>8} {:>18} {:>18} {:>18}\n", threads, cell(decode), cell(augment), cell(loader));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  settings.data.random_crop = 4;
  int size = 112;
  CLI::App app("Images per second of the data path");
  app.add_option("--list", settings.data.list, "list file: path<TAB>label");
  app.add_option("--root", settings.data.root, "folder of the list's paths");
  app.add_option("--folder", settings.data.folder, "folder of class folders");
  app.add_option("--seconds", settings.seconds, "time per figure");
  app.add_option("--threads", settings.threads, "numbers of threads")->delimiter(',');
  app.add_option("--batch", settings.batch, "images per batch");
  app.add_option("--size", size, "height and width");
  CLI11_PARSE(app, argc, argv);
  settings.data.height = settings.data.width = size;
  try {
    run(settings);
  } catch (const plsc::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return plsc::exit_code(error.code());
  }
  return 0;
}
