#include "plsc/head/margin_config.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::head {

backend::MarginSpec margin_spec(const config::HeadConfig& config) {
  using backend::MarginKind;
  using config::Loss;
  backend::MarginSpec spec;
  spec.straight_through = config.gradient == config::MarginGradient::straight_through;
  switch (config.loss) {
    case Loss::softmax: spec.kind = MarginKind::softmax; break;
    case Loss::norm_softmax: spec.kind = MarginKind::norm_softmax; break;
    case Loss::arcface:
      spec.kind = MarginKind::arcface;
      spec.m2 = config.margin;
      break;
    case Loss::cosface:
      spec.kind = MarginKind::cosface;
      spec.m3 = config.margin;
      break;
    case Loss::combined:
      spec.kind = MarginKind::combined;
      spec.m1 = config.m1;
      spec.m2 = config.margin;
      spec.m3 = config.m3;
      break;
  }
  if (config.bias && config.loss != Loss::softmax) {
    throw Error(
        ErrorCode::config,
        "head.bias is set for a loss on cosines (only head.loss softmax has a bias). Remove head.bias or choose "
        "head.loss: softmax.");
  }
  if (is_normalized(spec.kind) && !(config.scale > 0)) {
    throw Error(
        ErrorCode::config,
        fmt::format("head.scale is {} (cosines need a positive scale). Set head.scale, usually 64.", config.scale));
  }
  if (!(spec.m1 > 0)) {
    throw Error(ErrorCode::config, fmt::format("head.m1 is {} (the factor of the angle must be positive). Set head.m1, "
                                               "usually 1.",
                                               spec.m1));
  }
  return spec;
}

}  // namespace plsc::head
