#include <catch2/catch.hpp>
#include <cstddef>
#include <map>
#include <sstream>
#include <utility>

#include "plsc/config/load.h"

namespace plsc::config {

namespace {

Config unusual_config() {
  Config c;
  c.data.list = "a b: c # d";
  c.data.folder = "line\nbreak \"quoted\" \\ \xc3\xa4";
  c.data.root = "${HOME} $${x} $";
  c.data.num_classes = 9007199254740993LL;  // no double
  c.data.normalization = Normalization::plsc;
  c.data.flip = false;
  c.data.random_crop = 3;
  c.data.on_error = OnError::skip;
  c.model.network = "true";
  c.model.batch_norm.epsilon = 1.17549435e-38F;
  c.head.loss = Loss::combined;
  c.head.scale = 0.1F;
  c.head.m3 = 1.0F / 3.0F;
  c.head.gradient = MarginGradient::straight_through;
  c.head.workspace_bytes = (3LL << 30) + 1;
  c.optim.lr = 1.0 / 3.0;
  c.optim.schedule.kind = ScheduleKind::step;
  c.optim.schedule.milestones = {1e-7, 2.5, 1e300};
  c.train.seed = 18446744073709551615ULL;
  c.train.output = "";
  c.train.init_from = "12";
  c.eval.verification = {"a.bin", "b, c.bin", "", "null", "~", "-"};
  c.eval.best_metric = "lfw/accuracy";
  c.system.convolution = ConvAlgorithm::winograd;
  c.system.pinning = Pinning::off;
  c.system.bucket_bytes = 1 << 20;
  return c;
}

/// Stands for any member in the braces of an aggregate.
struct Anything {
  template <class T>
  operator T() const;
};

template <class T, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { T{((void)I, Anything{})...}; };
}

/// Number of members of a plain struct.
template <class T, std::size_t N = 0>
constexpr std::size_t member_count() {
  if constexpr (takes<T>(std::make_index_sequence<N + 1>{})) {
    return member_count<T, N + 1>();
  } else {
    return N;
  }
}

/// Keys and sub-sections below each section of the printed configuration.
std::map<std::string, std::size_t> printed_keys() {
  std::map<std::string, std::size_t> counts;
  std::istringstream lines(to_yaml(Config{}));
  std::string path[3];
  for (std::string line; std::getline(lines, line);) {
    const std::size_t depth = line.find_first_not_of(' ') / 2;
    path[depth] = line.substr(2 * depth, line.find(':') - 2 * depth);
    ++counts[depth == 0 ? "" : path[depth - 1]];
  }
  return counts;
}

}  // namespace

TEST_CASE("printing and reading gives the same configuration", "[config]") {
  const Config config = unusual_config();

  const Config again = parse_config(to_yaml(config), "printed");

  CHECK(to_yaml(again) == to_yaml(config));
  CHECK(again.data.list == config.data.list);
  CHECK(again.data.folder == config.data.folder);
  CHECK(again.data.root == config.data.root);
  CHECK(again.data.num_classes == config.data.num_classes);
  CHECK(again.model.network == config.model.network);
  CHECK(again.model.batch_norm.epsilon == config.model.batch_norm.epsilon);
  CHECK(again.head.loss == config.head.loss);
  CHECK(again.head.m3 == config.head.m3);
  CHECK(again.head.workspace_bytes == config.head.workspace_bytes);
  CHECK(again.optim.lr == config.optim.lr);
  CHECK(again.optim.schedule.milestones == config.optim.schedule.milestones);
  CHECK(again.train.seed == config.train.seed);
  CHECK(again.train.output == config.train.output);
  CHECK(again.train.init_from == config.train.init_from);
  CHECK(again.eval.verification == config.eval.verification);
  CHECK(again.system.convolution == config.system.convolution);
}

TEST_CASE("every member of the configuration is in the table", "[config]") {
  const std::map<std::string, std::size_t> printed = printed_keys();

  CHECK(printed.at("") == member_count<Config>());
  CHECK(printed.at("data") == member_count<DataConfig>());
  CHECK(printed.at("model") == member_count<ModelConfig>());
  CHECK(printed.at("batch_norm") == member_count<BatchNormConfig>());
  CHECK(printed.at("head") == member_count<HeadConfig>());
  CHECK(printed.at("optim") == member_count<OptimConfig>());
  CHECK(printed.at("schedule") == member_count<ScheduleConfig>());
  CHECK(printed.at("train") == member_count<TrainConfig>());
  CHECK(printed.at("checkpoint") == member_count<CheckpointConfig>());
  CHECK(printed.at("eval") == member_count<EvalConfig>());
  CHECK(printed.at("system") == member_count<SystemConfig>());
}

TEST_CASE("every spelling of an enumeration reads as its own value", "[config]") {
  const auto check = [](auto member, const std::string& key,
                        const std::vector<std::pair<std::string, int>>& spellings) {
    for (const auto& [name, value] : spellings) {
      const Config config = load_config("", {key + "=" + name});
      INFO(key << "=" << name);
      CHECK(static_cast<int>(member(config)) == value);
      CHECK(to_yaml(config).find(": " + name + " ") != std::string::npos);
    }
  };

  check([](const Config& c) { return c.head.loss; }, "head.loss",
        {{"softmax", static_cast<int>(Loss::softmax)},
         {"norm_softmax", static_cast<int>(Loss::norm_softmax)},
         {"arcface", static_cast<int>(Loss::arcface)},
         {"cosface", static_cast<int>(Loss::cosface)},
         {"combined", static_cast<int>(Loss::combined)}});
  check([](const Config& c) { return c.head.gradient; }, "head.gradient",
        {{"exact", static_cast<int>(MarginGradient::exact)},
         {"straight_through", static_cast<int>(MarginGradient::straight_through)}});
  check([](const Config& c) { return c.optim.schedule.kind; }, "optim.schedule.kind",
        {{"constant", static_cast<int>(ScheduleKind::constant)},
         {"step", static_cast<int>(ScheduleKind::step)},
         {"polynomial", static_cast<int>(ScheduleKind::polynomial)},
         {"cosine", static_cast<int>(ScheduleKind::cosine)}});
  check([](const Config& c) { return c.data.normalization; }, "data.normalization",
        {{"arcface", static_cast<int>(Normalization::arcface)}, {"plsc", static_cast<int>(Normalization::plsc)}});
  check([](const Config& c) { return c.data.on_error; }, "data.on_error",
        {{"fail", static_cast<int>(OnError::fail)}, {"skip", static_cast<int>(OnError::skip)}});
  check([](const Config& c) { return c.system.convolution; }, "system.convolution",
        {{"automatic", static_cast<int>(ConvAlgorithm::automatic)},
         {"direct", static_cast<int>(ConvAlgorithm::direct)},
         {"winograd", static_cast<int>(ConvAlgorithm::winograd)}});
  check([](const Config& c) { return c.system.pinning; }, "system.pinning",
        {{"automatic", static_cast<int>(Pinning::automatic)}, {"off", static_cast<int>(Pinning::off)}});
}

TEST_CASE("the printed configuration is aligned and commented", "[config]") {
  const std::string text = to_yaml(Config{});

  CHECK(text.find("optim:                                  # optimiser: SGD with momentum\n"
                  "  lr: 0.1                               # learning rate\n") != std::string::npos);
  CHECK(text.find("    milestones: []                      # step: epochs, increasing\n") != std::string::npos);
  CHECK(text.find("# constant | step | polynomial | cosine; after the warm-up\n") != std::string::npos);
  CHECK(text.find("  bucket_bytes: 16MiB ") != std::string::npos);
  CHECK(text.find("  output: runs/default ") != std::string::npos);
  CHECK(text.find("  list: \"\" ") != std::string::npos);
}

}  // namespace plsc::config
