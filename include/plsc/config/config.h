#pragma once
// The one configuration of a run: plain structs with defaults. Spelling, bounds and documentation of every key stand in
// src/config/schema.cpp, from which reading and printing are made. Paths are kept as written in the file; those
// that are relative are relative to the working directory.

#include <cstdint>
#include <string>
#include <vector>

namespace plsc::config {

enum class Normalization { arcface, plsc };  ///< (x-127.5)/127.5 | (x-127.5)/128
enum class OnError { fail, skip };

struct DataConfig {
  std::string list;              ///< list file: lines "path<TAB or space>label"
  std::string folder;            ///< or: a folder with one sub-folder per class (classes in sorted order)
  std::string root;              ///< list paths are relative to this; empty: the list's own folder
  std::int64_t num_classes = 0;  ///< 0: largest label + 1
  int height = 112;
  int width = 112;
  Normalization normalization = Normalization::arcface;
  bool flip = true;     ///< mirror with probability 1/2
  int random_crop = 0;  ///< shift by up to this many pixels in each direction (edge pixels repeated)
  bool shuffle = true;
  int workers = 0;                   ///< decoding threads per rank; 0: chosen from the cores
  int prefetch = 4;                  ///< batches decoded ahead
  OnError on_error = OnError::fail;  ///< unreadable images and labels out of range
};

struct BatchNormConfig {
  float momentum = 0.1F;
  float epsilon = 1e-5F;
  bool synchronized = false;
};

struct ModelConfig {
  std::string network = "iresnet50";
  std::int64_t embedding = 512;
  BatchNormConfig batch_norm;
};

enum class Loss { softmax, norm_softmax, arcface, cosface, combined };
enum class MarginGradient { exact, straight_through };

struct HeadConfig {
  Loss loss = Loss::arcface;
  float scale = 64.0F;
  float m1 = 1.0F;      ///< combined only: cos(m1*theta + m2) - m3
  float margin = 0.5F;  ///< arcface: m2, cosface: m3; combined: m2
  float m3 = 0.0F;      ///< combined only
  MarginGradient gradient = MarginGradient::exact;
  bool bias = false;  ///< softmax only
  float init_std = 0.01F;
  std::int64_t tile = 0;             ///< classes per tile; 0: chosen by the backend
  std::int64_t workspace_bytes = 0;  ///< exp values kept between the two passes; 0: 256 MiB
};

enum class ScheduleKind { constant, step, polynomial, cosine };

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::polynomial;
  double power = 1.0;              ///< polynomial
  std::vector<double> milestones;  ///< step: in epochs
  double gamma = 0.1;              ///< step: factor at each milestone
  double warmup_epochs = 0;        ///< linear from warmup_start * lr to lr
  double warmup_start = 0;
  double final_factor = 0;  ///< polynomial, cosine: last lr / lr
};

struct OptimConfig {
  double lr = 0.1;
  double head_lr_factor = 1.0;  ///< class rows learn at lr times this
  float momentum = 0.9F;
  bool nesterov = false;
  float weight_decay = 5e-4F;
  float head_weight_decay = -1.0F;  ///< negative: same as weight_decay
  bool decay_batch_norm = true;     ///< weight decay on BatchNorm weights and biases
  bool decay_bias = true;           ///< ... on other biases
  bool decay_prelu = true;          ///< ... on PReLU slopes
  float clip_norm = 5.0F;           ///< L2 limit of the backbone gradient; 0: off
  ScheduleConfig schedule;
};

struct TrainConfig {
  std::int64_t global_batch = 128;
  double epochs = 20;
  std::int64_t max_steps = 0;  ///< 0: from epochs
  std::uint64_t seed = 2048;
  std::string output = "runs/default";
  std::string init_from;        ///< checkpoint whose backbone starts this run (other classes allowed)
  std::int64_t log_every = 10;  ///< steps
  bool tensorboard = true;
};

struct CheckpointConfig {
  std::int64_t every_steps = 0;  ///< 0: see every_epochs
  double every_epochs = 1;       ///< 0: only at the end
  int keep = 3;                  ///< newest complete ones kept; 0: all
  bool keep_best = true;         ///< also keep the best by eval.best_metric
};

struct EvalConfig {
  double every_epochs = 1;                ///< 0: only at the end
  std::vector<std::string> verification;  ///< InsightFace .bin files
  std::vector<std::string> pairs;         ///< pair lists: path<TAB>path<TAB>0|1
  std::string pairs_root;
  std::vector<std::string> lists;  ///< labelled lists for closed-set top-1/top-5
  std::string lists_root;
  std::int64_t batch = 0;   ///< images per rank and forward; 0: the training batch
  bool flip = true;         ///< add the embedding of the mirrored image
  std::string best_metric;  ///< e.g. "lfw/accuracy"; empty: the first metric there is
};

enum class ConvAlgorithm { automatic, direct, winograd };
enum class Pinning { automatic, off };

struct SystemConfig {
  std::string device = "cpu";
  int threads = 0;  ///< computing threads per rank; 0: cores of the host / ranks on it
  Pinning pinning = Pinning::automatic;
  ConvAlgorithm convolution = ConvAlgorithm::automatic;  ///< automatic: timed once per shape and direction
  std::int64_t bucket_bytes = 16 << 20;                  ///< gradient all-reduce buckets
};

struct Config {
  DataConfig data;
  ModelConfig model;
  HeadConfig head;
  OptimConfig optim;
  TrainConfig train;
  CheckpointConfig checkpoint;
  EvalConfig eval;
  SystemConfig system;
};

}  // namespace plsc::config
