#include "plsc/head/classifier.h"

#include <fmt/format.h>

#include "head/sharded_classifier.h"
#include "plsc/core/error.h"

namespace plsc::head {

namespace {

void check_positive(const char* what, std::int64_t value, const char* advice) {
  if (value > 0) return;
  throw Error(ErrorCode::config,
              fmt::format("the classifier has {} {} (at least 1 is needed). {}", value, what, advice));
}

}  // namespace

std::unique_ptr<ShardedClassifier> make_sharded_classifier(const ClassifierOptions& options, backend::Backend& backend,
                                                           comm::Communicator& communicator,
                                                           std::unique_ptr<RowSelector> selector) {
  check_positive("classes", options.num_classes, "Set data.num_classes or give a list with labels.");
  check_positive("embedding dimensions", options.embedding, "Set model.embedding.");
  check_positive("samples per rank", options.batch, "Raise train.global_batch or use fewer ranks.");
  if (selector == nullptr) selector = std::make_unique<AllRows>();
  return std::make_unique<TiledClassifier>(options, backend, communicator, std::move(selector));
}

}  // namespace plsc::head
