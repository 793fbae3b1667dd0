// The backbone file in PyTorch: loads by name, and computes what this program computes.
#include <fmt/format.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "plsc/backend/cpu.h"
#include "plsc/comm/self.h"
#include "plsc/core/random.h"
#include "plsc/train/model.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::train {

TEST_CASE("PyTorch loads the backbone and finds the same embeddings", "[pytorch]") {
  constexpr std::int64_t kSize = 32;
  constexpr std::int64_t kBatch = 2;
  config::Config config;
  config.data.height = kSize;
  config.data.width = kSize;
  config.model.network = "iresnet18";
  config.model.embedding = 64;
  const auto communicator = comm::make_self_communicator();
  const auto backend = backend::make_cpu_backend({});
  Model model(config, 10, kBatch, nn::Mode::inference, *backend, *communicator);
  CounterRng rng(1, RandomPurpose::test, 1);
  for (const nn::StateBuffer* buffer : model.backbone().parameters().buffers()) {  // statistics that matter
    for (float& value : buffer->value.host_span<float>()) value += static_cast<float>(0.1 * rng.uniform());
  }
  const Tensor images(heap_memory(), Shape{kBatch, 3, kSize, kSize}, DType::u8);
  std::vector<float> normalized;
  for (std::uint8_t& pixel : images.host_span<std::uint8_t>()) {
    pixel = static_cast<std::uint8_t>(rng.below(256));
    normalized.push_back((static_cast<float>(pixel) - 127.5F) / 127.5F);
  }
  std::vector<float> embeddings(static_cast<std::size_t>(kBatch * config.model.embedding));
  model.embed(images, embeddings);
  const test::TempDir folder;
  checkpoint::Snapshot snapshot;
  snapshot.backbone = model.backbone_tensors();
  const std::filesystem::path saved = checkpoint::save(snapshot, folder / "checkpoints", *communicator);
  test::write_file(folder / "images.f32", std::as_bytes(std::span(normalized)));
  test::write_file(folder / "embeddings.f32", std::as_bytes(std::span(embeddings)));

  const char* python = std::getenv("PLSC_PYTHON");
  const std::string command = fmt::format(
      "'{}' {}/tests/checkpoint/check_pytorch.py --backbone '{}' --embedding 64 --shape 2,3,32,32 "
      "--input '{}' --expect '{}' --tolerance 1e-4",
      python == nullptr ? "python3" : python, PLSC_SOURCE_DIR, (saved / "backbone.safetensors").string(),
      (folder / "images.f32").string(), (folder / "embeddings.f32").string());
  const int status = std::system(command.c_str());

  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
    WARN("python3 with safetensors and torch is not installed: PyTorch's side was not checked");
  } else {
    CHECK(WEXITSTATUS(status) == 0);
  }
}

}  // namespace plsc::train
