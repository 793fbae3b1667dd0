#include "config/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "config/scalar.h"

namespace plsc::config {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Bounds at_least(double low) { return {low, kInfinity, false, false}; }
Bounds above(double low) { return {low, kInfinity, true, false}; }
Bounds between(double low, double high) { return {low, high, false, false}; }
Bounds from_to_below(double low, double high) { return {low, high, false, true}; }

using Names = std::vector<std::string_view>;

// In the order of the enumerations in config.h.
const Names kNormalizationNames{"arcface", "plsc"};
const Names kOnErrorNames{"fail", "skip"};
const Names kLossNames{"softmax", "norm_softmax", "arcface", "cosface", "combined"};
const Names kMarginGradientNames{"exact", "straight_through"};
const Names kScheduleKindNames{"constant", "step", "polynomial", "cosine"};
const Names kConvAlgorithmNames{"automatic", "direct", "winograd"};
const Names kPinningNames{"automatic", "off"};

class Builder {
 public:
  void section(const std::string& key, const std::string& doc) {
    prefix_ = key + ".";
    schema_.sections.push_back({key, doc});
  }

  template <class T>
  void key(const std::string& name, T& member, const std::string& doc, Bounds bounds = {}) {
    if constexpr (std::is_same_v<T, int>) {
      bounds.low = std::max(bounds.low, static_cast<double>(std::numeric_limits<int>::min()));
      bounds.high = std::min(bounds.high, static_cast<double>(std::numeric_limits<int>::max()));
    }
    schema_.fields.push_back({prefix_ + name, &member, doc, bounds});
  }

  void bytes(const std::string& name, std::int64_t& member, const std::string& doc, Bounds bounds) {
    schema_.fields.push_back({prefix_ + name, Bytes{&member}, doc, bounds});
  }

  template <class E>
  void choice(const std::string& name, E& member, const Names& names, const std::string& doc) {
    Choice choice{names, [&member] { return static_cast<std::size_t>(member); },
                  [&member](std::size_t index) { member = static_cast<E>(index); }};
    schema_.fields.push_back({prefix_ + name, std::move(choice), doc, {}});
  }

  Schema take() { return std::move(schema_); }

 private:
  std::string prefix_;
  Schema schema_;
};

void add_data(Builder& b, DataConfig& c) {
  b.section("data", "training images");
  b.key("list", c.list, "list file with lines \"path<TAB or space>label\"; or folder");
  b.key("folder", c.folder, "folder with one sub-folder per class, classes in sorted order; or list");
  b.key("root", c.root, "list paths are relative to this folder; empty: the list's own folder");
  b.key("num_classes", c.num_classes, "0: largest label + 1", at_least(0));
  b.key("height", c.height, "pixels", at_least(1));
  b.key("width", c.width, "pixels", at_least(1));
  b.choice("normalization", c.normalization, kNormalizationNames, "(x-127.5)/127.5 | (x-127.5)/128");
  b.key("flip", c.flip, "mirror with probability 1/2");
  b.key("random_crop", c.random_crop, "shift by up to this many pixels, edges repeated", at_least(0));
  b.key("shuffle", c.shuffle, "a new order every epoch");
  b.key("workers", c.workers, "decoding threads per rank; 0: chosen from the cores", at_least(0));
  b.key("prefetch", c.prefetch, "batches decoded ahead", at_least(1));
  b.choice("on_error", c.on_error, kOnErrorNames, "unreadable images and labels out of range");
}

void add_model(Builder& b, ModelConfig& c) {
  b.section("model", "embedding network");
  b.key("network", c.network, "name of the network");
  b.key("embedding", c.embedding, "dimensions of the embedding", at_least(1));
  b.section("model.batch_norm", "batch normalisation");
  b.key("momentum", c.batch_norm.momentum, "weight of the new batch in the running statistics", between(0, 1));
  b.key("epsilon", c.batch_norm.epsilon, "added to the variance", above(0));
  b.key("synchronized", c.batch_norm.synchronized, "statistics over all ranks instead of each rank's own");
}

void add_head(Builder& b, HeadConfig& c) {
  b.section("head", "classifier and loss");
  b.choice("loss", c.loss, kLossNames, "combined: cos(m1*theta + margin) - m3");
  b.key("scale", c.scale, "s: logits are s times the cosine (not for softmax)", above(0));
  b.key("m1", c.m1, "combined: factor of the angle", above(0));
  b.key("margin", c.margin, "arcface, combined: added to the angle; cosface: taken off the cosine",
        between(0, 3.14159));
  b.key("m3", c.m3, "combined: taken off the cosine", between(0, 2));
  b.choice("gradient", c.gradient, kMarginGradientNames, "of the margin; straight_through as insightface has it");
  b.key("bias", c.bias, "softmax only: one bias per class");
  b.key("init_std", c.init_std, "deviation of the initial class rows", above(0));
  b.key("tile", c.tile, "classes per tile; 0: chosen by the backend", at_least(0));
  b.bytes("workspace_bytes", c.workspace_bytes, "exp values kept between the two passes; 0: 256MiB", at_least(0));
}

void add_optim(Builder& b, OptimConfig& c) {
  b.section("optim", "optimiser: SGD with momentum");
  b.key("lr", c.lr, "learning rate", above(0));
  b.key("head_lr_factor", c.head_lr_factor, "class rows learn at lr times this", at_least(0));
  b.key("momentum", c.momentum, "0: none", from_to_below(0, 1));
  b.key("nesterov", c.nesterov, "Nesterov's momentum");
  b.key("weight_decay", c.weight_decay, "0: none", at_least(0));
  b.key("head_weight_decay", c.head_weight_decay, "of the class rows; negative: same as weight_decay");
  b.key("decay_batch_norm", c.decay_batch_norm, "weight decay on BatchNorm weights and biases");
  b.key("decay_bias", c.decay_bias, "weight decay on other biases");
  b.key("decay_prelu", c.decay_prelu, "weight decay on PReLU slopes");
  b.key("clip_norm", c.clip_norm, "L2 limit of the backbone gradient; 0: off", at_least(0));
  ScheduleConfig& s = c.schedule;
  b.section("optim.schedule", "learning rate over time");
  b.choice("kind", s.kind, kScheduleKindNames, "after the warm-up");
  b.key("power", s.power, "polynomial: exponent", above(0));
  b.key("milestones", s.milestones, "step: epochs, increasing", above(0));
  b.key("gamma", s.gamma, "step: factor at each milestone", above(0));
  b.key("warmup_epochs", s.warmup_epochs, "linear from warmup_start * lr to lr; 0: none", at_least(0));
  b.key("warmup_start", s.warmup_start, "factor of lr at step 0 of the warm-up", between(0, 1));
  b.key("final_factor", s.final_factor, "polynomial, cosine: last lr / lr", between(0, 1));
}

void add_run(Builder& b, Config& c) {
  b.section("train", "the run");
  b.key("global_batch", c.train.global_batch, "images per step over all ranks", at_least(1));
  b.key("epochs", c.train.epochs, "passes over the data", above(0));
  b.key("max_steps", c.train.max_steps, "0: from epochs", at_least(0));
  b.key("seed", c.train.seed, "of everything random");
  b.key("output", c.train.output, "folder for checkpoints, logs and the resolved configuration");
  b.key("init_from", c.train.init_from, "checkpoint whose backbone starts this run; empty: none");
  b.key("log_every", c.train.log_every, "steps", at_least(1));
  b.key("tensorboard", c.train.tensorboard, "write event files");
  b.section("checkpoint", "saving");
  b.key("every_steps", c.checkpoint.every_steps, "0: see every_epochs", at_least(0));
  b.key("every_epochs", c.checkpoint.every_epochs, "0: only at the end", at_least(0));
  b.key("keep", c.checkpoint.keep, "newest complete ones kept; 0: all", at_least(0));
  b.key("keep_best", c.checkpoint.keep_best, "also keep the best by eval.best_metric");
}

void add_eval(Builder& b, EvalConfig& c) {
  b.section("eval", "evaluation during training");
  b.key("every_epochs", c.every_epochs, "0: only at the end", at_least(0));
  b.key("verification", c.verification, "InsightFace .bin files");
  b.key("pairs", c.pairs, "pair lists with lines path<TAB>path<TAB>0|1");
  b.key("pairs_root", c.pairs_root, "pair paths are relative to this folder; empty: the list's own");
  b.key("lists", c.lists, "labelled lists for closed-set top-1 and top-5");
  b.key("lists_root", c.lists_root, "list paths are relative to this folder; empty: the list's own");
  b.key("batch", c.batch, "images per rank and forward pass; 0: the training batch", at_least(0));
  b.key("flip", c.flip, "add the embedding of the mirrored image");
  b.key("best_metric", c.best_metric, "set/metric, such as lfw/accuracy; empty: the first there is");
}

void add_system(Builder& b, SystemConfig& c) {
  b.section("system", "machine");
  b.key("device", c.device, "cpu");
  b.key("threads", c.threads, "computing threads per rank; 0: cores of the host / ranks on it", at_least(0));
  b.choice("pinning", c.pinning, kPinningNames, "of threads to cores");
  b.choice("convolution", c.convolution, kConvAlgorithmNames, "automatic: timed once per shape and direction");
  b.bytes("bucket_bytes", c.bucket_bytes, "size of the gradient all-reduce buckets", at_least(1));
}

}  // namespace

bool Bounds::contains(double value) const {
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Bounds::text() const {
  if (std::isinf(low) && std::isinf(high)) return "any number";
  const std::string lower = fmt::format("{} {:.10g}", low_open ? "above" : "at least", low);
  const std::string upper = fmt::format("{} {:.10g}", high_open ? "below" : "at most", high);
  if (std::isinf(high)) return lower;
  if (std::isinf(low)) return upper;
  if (!low_open && !high_open) return fmt::format("from {:.10g} to {:.10g}", low, high);
  return lower + " and " + upper;
}

const Field* Schema::find_field(const std::string& key) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.key == key; });
  return found == fields.end() ? nullptr : &*found;
}

bool Schema::has_section(const std::string& key) const {
  return std::any_of(sections.begin(), sections.end(), [&](const Section& section) { return section.key == key; });
}

Schema make_schema(Config& config) {
  Builder builder;
  add_data(builder, config.data);
  add_model(builder, config.model);
  add_head(builder, config.head);
  add_optim(builder, config.optim);
  add_run(builder, config);
  add_eval(builder, config.eval);
  add_system(builder, config.system);
  return builder.take();
}

namespace {

struct Printer {
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(Bytes bytes) const { return print_bytes(*bytes.value); }
  std::string operator()(const Choice& choice) const { return std::string(choice.names.at(choice.get())); }
  std::string operator()(const std::string* value) const { return print_text(*value); }
  std::string operator()(const std::vector<double>* values) const {
    return fmt::format("[{}]", fmt::join(*values, ", "));
  }
  std::string operator()(const std::vector<std::string>* values) const {
    std::vector<std::string> texts;
    for (const std::string& value : *values) texts.push_back(print_text(value));
    return fmt::format("[{}]", fmt::join(texts, ", "));
  }
  template <class Number>
  std::string operator()(const Number* value) const {
    return fmt::format("{}", *value);
  }
};

}  // namespace

std::string print_value(const Field& field) { return std::visit(Printer{}, field.target); }

}  // namespace plsc::config
