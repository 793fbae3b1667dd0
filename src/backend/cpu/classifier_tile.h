#pragma once
// ClassifierTile on the CPU: single-threaded oneDNN products on the rows of each thread, Highway loops between them.

#include <memory>

#include "plsc/backend/classifier.h"

namespace plsc::backend {

std::unique_ptr<ClassifierTile> make_cpu_classifier_tile(const ClassifierTileSpec& spec, int threads,
                                                         MemorySource& memory);

}  // namespace plsc::backend
