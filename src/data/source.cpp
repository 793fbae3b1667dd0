#include "plsc/data/source.h"

#include "data/folder_source.h"
#include "data/list_source.h"
#include "plsc/core/error.h"

namespace plsc::data {

std::unique_ptr<SampleSource> open_source(const config::DataConfig& config) {
  if (config.list.empty() == config.folder.empty()) {
    throw Error(ErrorCode::config,
                config.list.empty() ? "No training data is named (data.list and data.folder are both empty). Set one."
                                    : "Two training sets are named (data.list and data.folder). Set only one.");
  }
  if (!config.folder.empty()) {
    return std::make_unique<FolderSource>(FolderOptions{config.folder, config.num_classes, config.on_error});
  }
  return std::make_unique<ListSource>(
      ListOptions{config.list, config.root, config.num_classes, config.on_error, /*check_class_ids=*/true});
}

std::unique_ptr<SampleSource> open_list(const std::string& list, const std::string& root, std::int64_t num_classes,
                                        config::OnError on_error) {
  return std::make_unique<ListSource>(ListOptions{list, root, num_classes, on_error, /*check_class_ids=*/false});
}

}  // namespace plsc::data
