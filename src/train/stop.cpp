#include "plsc/train/stop.h"

#include <csignal>

namespace plsc::train {

namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1};

// Signal handlers can reach nothing but static storage.
volatile std::sig_atomic_t stop_requested = 0;
struct sigaction former_actions[3];

void on_signal(int) { stop_requested = 1; }

}  // namespace

StopSignals::StopSignals() {
  stop_requested = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &action, &former_actions[i]);
}

StopSignals::~StopSignals() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &former_actions[i], nullptr);
}

bool StopSignals::requested() { return stop_requested != 0; }

bool StopAgreement::agree(bool requested) {
  bool stop = false;
  if (request_) {
    request_->wait();
    stop = flag_ != 0;
    request_.reset();
  }
  if (!stop) {
    flag_ = requested ? 1 : 0;
    request_ = communicator_->all_reduce_async(&flag_, 1, DType::i32, comm::ReduceOp::max);
  }
  return stop;
}

}  // namespace plsc::train
