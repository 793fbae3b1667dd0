#include "plsc/core/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace plsc::log {

namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto created = std::make_shared<spdlog::logger>("plsc", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    created->set_pattern("%^%v%$");
    return created;
  }();
  return *instance;
}

}  // namespace

void configure(int rank, int world_size, Level level) {
  const auto wanted = level == Level::debug     ? spdlog::level::debug
                      : level == Level::info    ? spdlog::level::info
                      : level == Level::warning ? spdlog::level::warn
                                                : spdlog::level::err;
  logger().set_level(rank == 0 || wanted > spdlog::level::warn ? wanted : spdlog::level::warn);
  logger().set_pattern(world_size > 1 ? fmt::format("%^[rank {}] %v%$", rank) : std::string("%^%v%$"));
}

void debug(const std::string& line) { logger().debug(line); }
void info(const std::string& line) { logger().info(line); }
void warning(const std::string& line) { logger().warn(line); }
void error(const std::string& line) { logger().error(line); }

}  // namespace plsc::log
