#pragma once
// From the configuration's loss to the margin of the kernels.

#include "plsc/backend/margin.h"
#include "plsc/config/config.h"

namespace plsc::head {

/// Throws Error{config} for combinations that mean nothing: a scale or bias the loss does not have, a negative m1.
backend::MarginSpec margin_spec(const config::HeadConfig& config);

}  // namespace plsc::head
