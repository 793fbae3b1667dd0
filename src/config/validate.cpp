#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "config/schema.h"
#include "plsc/config/load.h"
#include "plsc/core/error.h"

namespace plsc::config {

namespace {

/// Throws unless `holds`; a message is "<keys>: <problem> (<why>). <what to do>."
void require(bool holds, const std::string& message) {
  if (!holds) throw Error(ErrorCode::config, message);
}

void check_bounds(const Config& config) {
  Config copy = config;
  for (const Field& field : make_schema(copy).fields) {
    const auto check = [&](double value) {
      require(field.bounds.contains(value),
              fmt::format("{}: {} is out of bounds (allowed: {}). Change it.", field.key, value, field.bounds.text()));
    };
    if (const auto* numbers = std::get_if<std::vector<double>*>(&field.target)) {
      std::for_each((*numbers)->begin(), (*numbers)->end(), check);
    }
    if (const auto* bytes = std::get_if<Bytes>(&field.target)) check(static_cast<double>(*bytes->value));
    if (const auto* value = std::get_if<int*>(&field.target)) check(**value);
    if (const auto* value = std::get_if<std::int64_t*>(&field.target)) check(static_cast<double>(**value));
    if (const auto* value = std::get_if<float*>(&field.target)) check(static_cast<double>(**value));
    if (const auto* value = std::get_if<double*>(&field.target)) check(**value);
  }
}

void check_data(const DataConfig& c) {
  require(!c.list.empty() || !c.folder.empty(),
          "data: neither data.list nor data.folder is given (training needs images). Give one of them.");
  require(c.list.empty() || c.folder.empty(),
          fmt::format("data: both data.list ({}) and data.folder ({}) are given (only one source is read). Remove one.",
                      c.list, c.folder));
  require(c.root.empty() || c.folder.empty(),
          fmt::format("data.root: {} is given with data.folder (it applies to list paths only). Remove it.", c.root));
  require(c.random_crop < std::min(c.height, c.width),
          fmt::format("data.random_crop: a shift of {} is too large (images have {}x{} pixels). Make it smaller.",
                      c.random_crop, c.height, c.width));
}

void check_head(const HeadConfig& c) {
  require(!c.bias || c.loss == Loss::softmax,
          "head.bias: true with another loss than softmax (normalised losses have no bias). Set head.loss=softmax or "
          "head.bias=false.");
  require(c.loss == Loss::combined || (c.m1 == 1.0F && c.m3 == 0.0F),
          fmt::format("head.m1, head.m3: {} and {} are given (only head.loss=combined uses them). Set "
                      "head.loss=combined, or head.m1=1 and head.m3=0.",
                      c.m1, c.m3));
}

void check_optim(const OptimConfig& c) {
  const ScheduleConfig& s = c.schedule;
  require(
      !c.nesterov || c.momentum > 0,
      "optim.nesterov: true while optim.momentum is 0 (it is a form of momentum). Set optim.momentum, such as 0.9.");
  require(s.kind != ScheduleKind::step || !s.milestones.empty(),
          "optim.schedule.milestones: empty (schedule kind step needs them). Give epochs such as [8, 14].");
  require(s.kind == ScheduleKind::step || s.milestones.empty(),
          "optim.schedule.milestones: given (only schedule kind step uses them). Set optim.schedule.kind=step or "
          "optim.schedule.milestones=[].");
  const bool increasing =
      std::adjacent_find(s.milestones.begin(), s.milestones.end(), std::greater_equal<>()) == s.milestones.end();
  require(increasing, fmt::format("optim.schedule.milestones: [{}] does not increase (each lowers the rate once). Sort "
                                  "it and remove doubles.",
                                  fmt::join(s.milestones, ", ")));
}

void check_run(const Config& c) {
  require(!c.model.network.empty(), "model.network: empty (a network is needed). Name one, such as iresnet50.");
  require(!c.train.output.empty(),
          "train.output: empty (checkpoints and logs need a folder). Name one, such as runs/a.");
  require(c.system.device == "cpu",
          fmt::format("system.device: unknown device {} (known: cpu). Set system.device=cpu.", c.system.device));
  const double warmup = c.optim.schedule.warmup_epochs;
  require(c.train.max_steps > 0 || warmup <= c.train.epochs,
          fmt::format("optim.schedule.warmup_epochs: {} is longer than the training (train.epochs is {}). Shorten it.",
                      warmup, c.train.epochs));
}

void check_eval(const EvalConfig& c) {
  if (c.best_metric.empty()) return;
  const std::size_t slash = c.best_metric.rfind('/');
  const bool well_formed = slash != std::string::npos && slash > 0 && slash + 1 < c.best_metric.size() &&
                           c.best_metric.find_first_of(" \t") == std::string::npos;
  require(well_formed, fmt::format("eval.best_metric: \"{}\" is malformed (expected set/metric). Write for example "
                                   "lfw/accuracy.",
                                   c.best_metric));
  require(!c.verification.empty() || !c.pairs.empty() || !c.lists.empty(),
          fmt::format("eval.best_metric: {} is given while nothing is evaluated (eval.verification, eval.pairs and "
                      "eval.lists are empty). Give one of them.",
                      c.best_metric));
}

}  // namespace

void validate(const Config& config) {
  check_bounds(config);
  check_data(config.data);
  check_head(config.head);
  check_optim(config.optim);
  check_run(config);
  check_eval(config.eval);
}

}  // namespace plsc::config
