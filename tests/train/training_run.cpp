#include "train/training_run.h"

#include <fmt/format.h>

#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "plsc/backend/cpu.h"
#include "plsc/comm/self.h"
#include "plsc/data/source.h"
#include "plsc/train/classification.h"
#include "support/images.h"
#include "support/thread_ranks.h"

namespace plsc::test {

void write_training_set(const std::filesystem::path& folder, int classes, int per_class) {
  std::filesystem::create_directories(folder);
  std::string list;
  for (int label = 0; label < classes; ++label) {
    for (int i = 0; i < per_class; ++i) {
      data::Image image = make_image(16, 16, static_cast<std::uint64_t>(label));
      for (std::size_t p = static_cast<std::size_t>(i); p < image.pixels.size(); p += 7) image.pixels[p] ^= 0x3F;
      const std::string name = fmt::format("{}_{}.png", label, i);
      write_file(folder / name, encode_png(image));
      list += fmt::format("{}\t{}\n", name, label);
    }
  }
  write_file(folder / "train.txt", list);
}

config::Config small_config(const std::filesystem::path& folder, const std::filesystem::path& output) {
  config::Config config;
  config.data.list = (folder / "train.txt").string();
  config.data.height = 16;
  config.data.width = 16;
  config.data.flip = false;
  config.data.workers = 1;
  config.model.network = "iresnet_tiny";
  config.model.embedding = 32;
  config.model.batch_norm.synchronized = true;
  config.head.loss = config::Loss::cosface;
  config.head.scale = 16;
  config.head.margin = 0.2F;
  config.optim.lr = 0.1;
  config.optim.schedule.kind = config::ScheduleKind::constant;
  config.train.global_batch = 8;
  config.train.max_steps = 6;
  config.train.output = output.string();
  config.train.log_every = 1;
  config.train.tensorboard = false;
  config.checkpoint.every_epochs = 0;
  config.eval.every_epochs = 0;
  config.system.threads = 1;
  config.system.convolution = config::ConvAlgorithm::direct;
  return config;
}

namespace {

train::RunEnd train_rank(const config::Config& config, comm::Communicator& communicator, bool resume,
                         const StopRequested& stop_requested) {
  const auto backend = backend::make_cpu_backend({1, backend::ConvolutionChoice::direct});
  const auto source = data::open_source(config.data);
  const train::Evaluation evaluation(config.eval, config.data, source->num_classes(), communicator);
  train::PhaseTimer timer;
  train::ClassificationMethod method(config, *source, *backend, communicator, timer);
  train::Trainer trainer(config, source->size(), method, evaluation, *backend, communicator, timer);
  if (resume) trainer.resume(train::CheckpointKeeper(config, communicator).latest().value());
  int calls = 0;
  return trainer.run([&] { return stop_requested && stop_requested(communicator.rank(), ++calls); });
}

}  // namespace

RunOutcome run_training(const config::Config& config, int ranks, bool resume, const StopRequested& stop_requested) {
  RunOutcome outcome;
  std::mutex mutex;
  run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
    const train::RunEnd end = train_rank(config, communicator, resume, stop_requested);
    const std::lock_guard lock(mutex);
    outcome.end = end;
  });
  std::ifstream lines(std::filesystem::path(config.train.output) / "metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record.at("kind") == "train") outcome.losses.push_back(record.at("loss"));
  }
  return outcome;
}

std::map<std::string, std::vector<float>> read_tensors(const std::filesystem::path& checkpoint,
                                                       const config::Config& config) {
  const auto communicator = comm::make_self_communicator();
  const auto backend = backend::make_cpu_backend({1, backend::ConvolutionChoice::direct});
  const auto source = data::open_source(config.data);
  train::PhaseTimer timer;
  train::ClassificationMethod method(config, *source, *backend, *communicator, timer);
  checkpoint::Snapshot snapshot;
  method.describe(snapshot);
  checkpoint::load(checkpoint, snapshot, *communicator);
  std::map<std::string, std::vector<float>> tensors;
  const auto keep = [&tensors](const std::string& name, const Tensor& tensor) {
    if (tensor.dtype() != DType::f32) return;
    const auto values = tensor.host_span<float>();
    tensors[name].assign(values.begin(), values.end());
  };
  for (const auto& named : snapshot.backbone) keep(named.name, named.tensor);
  for (const auto& named : snapshot.optimizer) keep(named.name, named.tensor);
  for (const auto& named : snapshot.head) keep("head/" + named.name, named.tensor);
  return tensors;
}

}  // namespace plsc::test
