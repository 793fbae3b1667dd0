#pragma once
// Runs a test body on every instruction set that this machine and the build have, then goes back to the best one.

#include <hwy/targets.h>

#include <catch2/catch.hpp>

namespace plsc::test {

inline void choose_targets(std::int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

template <class Body>
void on_every_target(const Body& body) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    INFO("instruction set " << hwy::TargetName(target));
    choose_targets(target);
    body();
  }
  choose_targets(0);
}

}  // namespace plsc::test
