// Against values that PyTorch computed in double (make_golden.py).

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "head/dense_reference.h"
#include "head/head_run.h"
#include "plsc/comm/self.h"

namespace plsc::test {

namespace {

using Golden = std::map<std::string, Values>;

Golden read_golden() {
  Golden golden;
  std::ifstream file(PLSC_SOURCE_DIR "/tests/head/golden/classifier.txt");
  for (std::string text; std::getline(file, text);) {
    if (text.empty() || text[0] == '#') continue;
    std::istringstream words(text);
    std::string name;
    words >> name;
    for (double value = 0; words >> value;) golden[name].push_back(value);
  }
  return golden;
}

/// What make_golden.py calls the loss.
config::HeadConfig config_of(const std::string& name) {
  config::HeadConfig head;
  head.scale = 32;
  head.gradient =
      name.ends_with("straight_through") ? config::MarginGradient::straight_through : config::MarginGradient::exact;
  if (name == "softmax") {
    head.loss = config::Loss::softmax;
    head.bias = true;
  } else if (name == "norm_softmax") {
    head.loss = config::Loss::norm_softmax;
  } else if (name == "cosface") {
    head.loss = config::Loss::cosface;
    head.margin = 0.4F;
  } else if (name.starts_with("arcface")) {
    head.loss = config::Loss::arcface;
    head.margin = 0.5F;
  } else {
    const bool exact = name == "combined_exact";
    head.loss = config::Loss::combined;
    head.m1 = exact ? 1.0F : 0.9F;
    head.margin = exact ? 0.3F : 0.4F;
    head.m3 = exact ? 0.2F : 0.15F;
  }
  return head;
}

}  // namespace

TEST_CASE("three steps equal PyTorch's", "[head][golden]") {
  const std::string name = GENERATE("softmax", "norm_softmax", "arcface_exact", "arcface_straight_through", "cosface",
                                    "combined_exact", "combined_straight_through");
  CAPTURE(name);
  const Golden golden = read_golden();
  REQUIRE(golden.count(name + ".weight") == 1);
  const HeadCase c{config_of(name), 11, 6, 1, 0.125F, 0.875F, true, 0.0078125F};
  const auto cpu = backend::make_cpu_backend({1, {}});
  const auto self = comm::make_self_communicator();
  const auto head = head::make_sharded_classifier(options_of(c, 9), *cpu, *self);
  const auto set = [](const Tensor& tensor, const Values& values) {
    std::copy(values.begin(), values.end(), tensor.data<float>());
  };
  const auto get = [](const Tensor& tensor) {
    const auto values = tensor.host_span<float>();
    return Values(values.begin(), values.end());
  };
  set(head->row_state()[0].tensor, golden.at("start"));
  const Tensor state = backend::make_step_state(cpu->memory());
  set_state(state, c.rate);
  const Tensor embeddings = cpu->tensor({9, 6});
  Values losses;
  Tensor d_embeddings;

  for (const std::string step : {"0", "1", "2"}) {
    set(embeddings, golden.at("x" + step));
    const Values& labels = golden.at("labels" + step);
    const head::HeadResult result = head->forward_backward(
        embeddings, std::vector<std::int64_t>(labels.begin(), labels.end()), head::RowUpdate::fused, state);
    losses.push_back(result.loss);
    d_embeddings = result.d_embeddings;
  }

  CHECK(error_of(losses, golden.at(name + ".losses")) < 1e-5);
  CHECK(error_of(get(d_embeddings), golden.at(name + ".d_x")) < 2e-4);
  CHECK(error_of(get(head->row_state()[0].tensor), golden.at(name + ".weight")) < 5e-5);
  if (c.head.bias) CHECK(error_of(get(head->row_state()[1].tensor), golden.at(name + ".bias")) < 5e-5);
}

}  // namespace plsc::test
