// The module that Node loads: makes programs of word streams and runs them on one thread of their own, off the main thread.
#include <napi.h>
#include <omp.h>
#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "onednn.h"
#include "program.h"

namespace metalr {
namespace {

using Clock = std::chrono::steady_clock;

/// A word stream made runnable: its steps, its arena, its constants.
class Program {
 public:
  Program(std::vector<int32_t> words, std::vector<char> constants, int64_t arenaBytes, int block, int threads)
      : constants_(std::move(constants)), arenaBytes_(size_t(arenaBytes)), threads_(threads) {
    setup_.block = block;
    setup_.working = &working_;
    size_t at = 0;
    while (at < words.size()) {
      if (words.size() - at < 2) throw std::runtime_error("the program ends inside an instruction");
      const int32_t op = words[at], length = words[at + 1];
      if (length < 0 || size_t(length) > words.size() - at - 2) throw std::runtime_error("an instruction is longer than the program");
      Words w(words.data() + at + 2, size_t(length));
      steps_.push_back(make(op, w));
      if (!w.done()) throw std::runtime_error("an instruction has words left over");
      at += 2 + size_t(length);
    }
    arena_ = reserve(arenaBytes_);
    working_ = reserve(setup_.shared);
    times_.assign(steps_.size(), 0);
  }
  ~Program() {
    if (arena_) munmap(arena_, size(arenaBytes_));
    if (working_) munmap(working_, size(setup_.shared));
  }
  Program(const Program&) = delete;

  void run(const std::vector<void*>& inputs, const std::vector<void*>& outputs, size_t from, size_t to, bool timed) {
    if (from > to || to > steps_.size()) throw std::runtime_error("no such instructions");
    Memory m{arena_, constants_.data(), &inputs, &outputs};
    for (size_t i = from; i < to; i++) {
      const auto start = timed ? Clock::now() : Clock::time_point();
      steps_[i]->run(m);
      if (timed) times_[i] += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    }
  }
  int threads() const { return threads_; }
  size_t bytes() const { return arenaBytes_ + setup_.shared + constants_.size(); }
  const std::vector<double>& times() const { return times_; }

 private:
  StepPtr make(int32_t op, Words& w) {
    switch (op) {
      case 1: return makeConvolution(w, setup_, false);
      case 2: return makeMatmul(w, setup_);
      case 3: return makeReorder(w, setup_);
      case 4: return makePointwise(w, setup_);
      case 5: return makeNormStatistics(w, setup_);
      case 6: return makeNormApply(w, setup_);
      case 7: return makeNormGradient(w, setup_);
      case 8: return makeMaxPool(w, setup_);
      case 9: return makeMaxPoolGradient(w, setup_);
      case 10: return makeCopy(w, setup_);
      case 11: return makeFill(w, setup_);
      case 12: return makeReduce(w, setup_);
      case 13: return makeSoftmax(w, setup_);
      case 14: return makeDot(w, setup_);
      case 15: return makeConvolution(w, setup_, true);
      default: throw std::runtime_error("no instruction has the number " + std::to_string(op));
    }
  }
  static size_t size(size_t bytes) { return (bytes + 4095) / 4096 * 4096 + 4096; }
  static char* reserve(size_t bytes) {
    void* p = mmap(nullptr, size(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::runtime_error("no memory for " + std::to_string(bytes >> 20) + " MiB");
    madvise(p, size(bytes), MADV_HUGEPAGE);  // a wish: fewer page faults and address look-ups
    return static_cast<char*>(p);
  }

  std::vector<char> constants_;
  size_t arenaBytes_;
  int threads_;
  Setup setup_;
  char *arena_ = nullptr, *working_ = nullptr;
  std::vector<StepPtr> steps_;
  std::vector<double> times_;
};

/// One thread that all programs run on: OpenMP keeps one team of helpers for it, and runs never disturb each other.
class Worker {
 public:
  static Worker& get() {
    static Worker* w = new Worker();  // lives as long as the process: its thread may still be waiting at the end
    return *w;
  }
  void add(std::function<void()> job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  Worker() {
    std::thread([this] {
      for (;;) {
        std::function<void()> job;
        {
          std::unique_lock<std::mutex> lock(mutex_);
          wake_.wait(lock, [this] { return !jobs_.empty(); });
          job = std::move(jobs_.front());
          jobs_.pop_front();
        }
        job();
      }
    }).detach();
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
};

/// Runs `work` on the worker and settles a promise on the main thread. `keep` holds what the work reads until then.
Napi::Promise later(Napi::Env env, Napi::Object keep, std::function<void()> work, std::function<Napi::Value(Napi::Env)> result) {
  struct Pending {
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference keep;
    Napi::ThreadSafeFunction settle;
    std::string error;
    std::function<Napi::Value(Napi::Env)> result;
  };
  auto* p = new Pending{Napi::Promise::Deferred::New(env), Napi::Persistent(keep), {}, "", std::move(result)};
  p->settle = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "metalr", 0, 1);
  auto promise = p->deferred.Promise();
  Worker::get().add([p, work = std::move(work)] {
    try {
      work();
    } catch (const dnnl::error& e) {
      p->error = std::string("oneDNN: ") + e.what();
    } catch (const std::exception& e) {
      p->error = e.what();
    }
    p->settle.BlockingCall(p, [](Napi::Env env, Napi::Function, Pending* p) {
      if (p->error.empty()) p->deferred.Resolve(p->result(env));
      else p->deferred.Reject(Napi::Error::New(env, p->error).Value());
      p->settle.Release();
      delete p;
    });
  });
  return promise;
}

class Handle : public Napi::ObjectWrap<Handle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Program", {InstanceMethod<&Handle::run>("run"), InstanceMethod<&Handle::times>("times"), InstanceMethod<&Handle::close>("close"), InstanceAccessor<&Handle::bytes>("bytes")});
  }
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {}
  std::shared_ptr<Program> program;

 private:
  Napi::Value run(const Napi::CallbackInfo& info) {
    auto env = info.Env();
    if (!program) throw Napi::Error::New(env, "the program is closed");
    auto ins = info[0].As<Napi::Array>(), outs = info[1].As<Napi::Array>();
    const size_t from = info[2].As<Napi::Number>().Uint32Value(), to = info[3].As<Napi::Number>().Uint32Value();
    const bool timed = info[4].ToBoolean();
    auto pointers = [](const Napi::Array& list) {
      std::vector<void*> v;
      for (uint32_t i = 0; i < list.Length(); i++) {
        auto array = list.Get(i).As<Napi::TypedArray>();
        v.push_back(static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset());
      }
      return v;
    };
    auto keep = Napi::Object::New(env);
    keep.Set("inputs", ins);
    keep.Set("outputs", outs);
    return later(
        env, keep,
        [p = program, in = pointers(ins), out = pointers(outs), from, to, timed] {
          omp_set_num_threads(p->threads());
          p->run(in, out, from, to, timed);
        },
        [](Napi::Env e) { return e.Undefined(); });
  }
  Napi::Value times(const Napi::CallbackInfo& info) {
    auto list = Napi::Array::New(info.Env());
    if (program)
      for (size_t i = 0; i < program->times().size(); i++) list.Set(uint32_t(i), program->times()[i]);
    return list;
  }
  Napi::Value close(const Napi::CallbackInfo& info) {
    program.reset();
    return info.Env().Undefined();
  }
  Napi::Value bytes(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), program ? double(program->bytes()) : 0); }
};

/// load(words: Int32Array, constants: Uint8Array, arenaBytes, block, threads) → Promise<Program>
Napi::Value load(const Napi::CallbackInfo& info) {
  auto env = info.Env();
  auto words = info[0].As<Napi::Int32Array>();
  auto constants = info[1].As<Napi::Uint8Array>();
  std::vector<int32_t> w(words.Data(), words.Data() + words.ElementLength());
  std::vector<char> c(constants.Data(), constants.Data() + constants.ElementLength());
  const int64_t arena = info[2].As<Napi::Number>().Int64Value();
  const int block = info[3].As<Napi::Number>().Int32Value(), threads = info[4].As<Napi::Number>().Int32Value();
  auto made = std::make_shared<std::shared_ptr<Program>>();
  return later(
      env, Napi::Object::New(env),
      [=] {
        omp_set_num_threads(threads);  // primitives divide their work when they are made
        *made = std::make_shared<Program>(w, c, arena, block, threads);
      },
      [made](Napi::Env e) -> Napi::Value {
        auto* constructor = e.GetInstanceData<Napi::FunctionReference>();
        auto object = constructor->New({});
        Handle::Unwrap(object)->program = std::move(*made);
        return object;
      });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto handle = Handle::define(env);
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(handle)));
  exports.Set("load", Napi::Function::New(env, load));
  const auto* v = dnnl_version();
  exports.Set("version", Napi::String::New(env, std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch)));
  const auto isa = static_cast<int>(dnnl::get_effective_cpu_isa());
  const int avx512 = static_cast<int>(dnnl::cpu_isa::avx512_core);
  const int block = (isa & avx512) == avx512 ? 16 : 8;
  exports.Set("block", Napi::Number::New(env, block));
  const int bf16 = static_cast<int>(dnnl::cpu_isa::avx512_core_bf16);
  exports.Set("bfloat16", Napi::Boolean::New(env, (isa & bf16) == bf16));
  exports.Set("winograd", Napi::Boolean::New(env, hasWinograd(block)));
  return exports;
}

}  // namespace
}  // namespace metalr

Napi::Object Init(Napi::Env env, Napi::Object exports) { return metalr::init(env, exports); }
NODE_API_MODULE(metalr, Init)
