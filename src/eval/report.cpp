#include "plsc/eval/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace plsc::eval {

namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

/// 0.001 -> "1e-3"
std::string name_of_rate(double far) { return fmt::format("1e{:.0f}", std::log10(far)); }

std::string percent(double fraction) { return fmt::format("{:.2f}%", 100 * fraction); }

Json to_object(const VerificationResult& result) {
  Json tar = Json::object();
  for (const TarAtFar& point : result.tar_at_far) {
    tar[name_of_rate(point.far)] = point.supported ? Json(point.tar) : Json(nullptr);
  }
  return {{"kind", "verification"},        {"pairs", result.pairs},       {"same", result.same},
          {"folds", result.folds},         {"accuracy", result.accuracy}, {"deviation", result.deviation},
          {"threshold", result.threshold}, {"auc", result.auc},           {"xnorm", result.xnorm},
          {"tar_at_far", std::move(tar)}};
}

Json to_object(const ClosedSetResult& result) {
  return {{"kind", "closed_set"},
          {"images", result.images},
          {"classes", result.classes},
          {"top1", result.top1},
          {"top5", result.top5}};
}

Row heading_of(const VerificationResult& result) {
  Row row = {"verification", "pairs", "accuracy", "deviation", "threshold", "AUC", "XNorm"};
  for (const TarAtFar& point : result.tar_at_far) row.push_back("TAR@" + name_of_rate(point.far));
  return row;
}

Row row_of(const std::string& name, const VerificationResult& result) {
  Row row = {name,
             std::to_string(result.pairs),
             percent(result.accuracy),
             percent(result.deviation),
             fmt::format("{:.3f}", result.threshold),
             percent(result.auc),
             fmt::format("{:.2f}", result.xnorm)};
  for (const TarAtFar& point : result.tar_at_far) row.push_back(point.supported ? percent(point.tar) : "-");
  return row;
}

Row heading_of(const ClosedSetResult&) { return {"closed set", "images", "classes", "top-1", "top-5"}; }

Row row_of(const std::string& name, const ClosedSetResult& result) {
  return {name, std::to_string(result.images), std::to_string(result.classes), percent(result.top1),
          percent(result.top5)};
}

/// The rows of one kind under their heading; the first column to the left, numbers to the right.
template <class Result>
std::string table_of(const std::vector<NamedResult>& results) {
  std::vector<Row> rows;
  for (const NamedResult& entry : results) {
    const Result* result = std::get_if<Result>(&entry.result);
    if (result == nullptr) continue;
    if (rows.empty()) rows.push_back(heading_of(*result));
    rows.push_back(row_of(entry.name, *result));
  }
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string to_json(const std::vector<NamedResult>& results) {
  Json list = Json::array();
  for (const NamedResult& entry : results) {
    Json object = {{"name", entry.name}};
    object.update(std::visit([](const auto& result) { return to_object(result); }, entry.result));
    list.push_back(std::move(object));
  }
  // A file name need not be UTF-8.
  return Json{{"results", std::move(list)}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_table(const std::vector<NamedResult>& results) {
  const std::string verification = table_of<VerificationResult>(results);
  const std::string closed_set = table_of<ClosedSetResult>(results);
  return verification + (verification.empty() || closed_set.empty() ? "" : "\n") + closed_set;
}

std::vector<std::pair<std::string, double>> to_scalars(const std::vector<NamedResult>& results) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const NamedResult& entry : results) {
    const auto add = [&](const std::string& key, double value) { scalars.emplace_back(entry.name + "/" + key, value); };
    if (const auto* closed_set = std::get_if<ClosedSetResult>(&entry.result)) {
      add("top1", closed_set->top1);
      add("top5", closed_set->top5);
      continue;
    }
    const auto& verification = std::get<VerificationResult>(entry.result);
    add("accuracy", verification.accuracy);
    add("deviation", verification.deviation);
    add("threshold", verification.threshold);
    add("auc", verification.auc);
    add("xnorm", verification.xnorm);
    for (const TarAtFar& point : verification.tar_at_far) {
      if (point.supported) add("tar_at_far_" + name_of_rate(point.far), point.tar);
    }
  }
  return scalars;
}

}  // namespace plsc::eval
