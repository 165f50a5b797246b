// What CUDA gives a kernel, on a host: one block after the other; in a block one thread after the other, or, where
// there are barriers, each thread as a fiber that runs up to the next one.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define TU_BARRIERS(name) extern "C" const int tu_barriers_##name; extern "C" const int tu_barriers_##name = 1;

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 blockIdx, blockDim, gridDim, threadIdx;

// ---- numbers

static inline double __longlong_as_double(long long bits) {
    double value;
    std::memcpy(&value, &bits, 8);
    return value;
}
static inline long long __double_as_longlong(double value) {
    long long bits;
    std::memcpy(&bits, &value, 8);
    return bits;
}
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline int __clz(int bits) { return bits ? __builtin_clz((unsigned)bits) : 32; }
template <class T> static inline T __ldg(const T* at) { return *at; }
template <class T> static inline void __stcs(T* at, T value) { *at = value; }
template <class T> static inline T __ldcs(const T* at) { return *at; }

// ---- fibers

enum tu_waiting { TU_RUNS, TU_AT_WARP, TU_AT_BLOCK, TU_ENDED };
struct tu_fiber {
    ucontext_t context;
    tu_waiting state;
};
static ucontext_t tu_scheduler;
static std::vector<tu_fiber>* tu_fibers;  // of the block that runs; null where threads are no fibers
static unsigned tu_at;
static void (*tu_kernel)(const long long*);
static const long long* tu_table;
static char* tu_dynamic_shared;

static bool tu_unmarked;  // whether a kernel without TU_BARRIERS came to a barrier
static inline void tu_wait(tu_waiting what) {
    if (!tu_fibers) {
        tu_unmarked = true;
        return;
    }
    const unsigned own = tu_at;
    (*tu_fibers)[own].state = what;
    swapcontext(&(*tu_fibers)[own].context, &tu_scheduler);
    threadIdx.x = own;
}
static inline void __syncthreads() { tu_wait(TU_AT_BLOCK); }
static inline void __syncwarp(unsigned = 0xffffffffu) { tu_wait(TU_AT_WARP); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

static unsigned long long tu_posted[1024];
template <class T> static inline T tu_exchanged(T value, unsigned from) {
    static_assert(sizeof(T) <= 8, "what is shuffled has at most eight bytes");
    const unsigned own = threadIdx.x;
    std::memcpy(&tu_posted[own], &value, sizeof(T));
    __syncwarp();
    if (from < blockDim.x) std::memcpy(&value, &tu_posted[from], sizeof(T));
    __syncwarp();
    return value;
}
template <class T> static inline T __shfl_sync(unsigned, T value, int lane, int width = 32) {
    const unsigned own = threadIdx.x;
    return tu_exchanged(value, own / width * width + (unsigned)lane % width);
}
template <class T> static inline T __shfl_up_sync(unsigned, T value, unsigned by, int width = 32) {
    const unsigned own = threadIdx.x;
    return tu_exchanged(value, own % width >= by ? own - by : own);
}
template <class T> static inline T __shfl_down_sync(unsigned, T value, unsigned by, int width = 32) {
    const unsigned own = threadIdx.x;
    return tu_exchanged(value, own % width + by < (unsigned)width ? own + by : own);
}
template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask, int width = 32) {
    (void)width;
    return tu_exchanged(value, threadIdx.x ^ (unsigned)mask);
}
static inline bool tu_ended(unsigned thread) { return !tu_fibers || (*tu_fibers)[thread].state == TU_ENDED; }
static inline unsigned __ballot_sync(unsigned mask, int asked) {
    const unsigned own = threadIdx.x, first = own / 32 * 32;
    tu_posted[own] = asked != 0;
    __syncwarp();
    unsigned made = 0;
    for (unsigned k = 0; k < 32 && first + k < blockDim.x; ++k)
        if (!tu_ended(first + k) && tu_posted[first + k]) made |= 1u << k;
    __syncwarp();
    return made & mask;
}
static inline int __any_sync(unsigned mask, int asked) { return __ballot_sync(mask, asked) != 0; }
static inline int __all_sync(unsigned mask, int asked) { return __ballot_sync(mask, !asked) == 0; }
static inline int __syncthreads_count(int asked) {
    tu_posted[threadIdx.x] = asked != 0;
    __syncthreads();
    int made = 0;
    for (unsigned k = 0; k < blockDim.x; ++k) made += !tu_ended(k) && tu_posted[k];
    __syncthreads();
    return made;
}
static inline int __syncthreads_or(int asked) { return __syncthreads_count(asked) > 0; }
static inline int __syncthreads_and(int asked) { return __syncthreads_count(!asked) == 0; }
template <class T> static inline T atomicAdd(T* at, T value) {
    const T before = *at;
    *at = before + value;
    return before;
}
template <class T> static inline T atomicMax(T* at, T value) {
    const T before = *at;
    *at = before < value ? value : before;
    return before;
}

// The shared memory that a launch asks for; poisoned before each block, as no block may rely on what another left.
template <class T> static inline T* tu_shared() { return (T*)tu_dynamic_shared; }

static void tu_run_fiber() {
    tu_kernel(tu_table);
    (*tu_fibers)[tu_at].state = TU_ENDED;
}

static const std::size_t tu_stack = 128 * 1024;

// Let those go on that wait for one another and are all there; false where none can.
static bool tu_release(std::vector<tu_fiber>& fibers) {
    bool any = false, all = true;
    for (std::size_t first = 0; first < fibers.size(); first += 32) {
        const std::size_t end = first + 32 < fibers.size() ? first + 32 : fibers.size();
        bool warp = true;
        for (std::size_t k = first; k < end; ++k) {
            if (fibers[k].state == TU_AT_BLOCK) warp = false;
            if (fibers[k].state == TU_AT_WARP) all = false;
        }
        for (std::size_t k = first; warp && k < end; ++k)
            if (fibers[k].state == TU_AT_WARP) fibers[k].state = TU_RUNS, any = true;
    }
    for (std::size_t k = 0; all && k < fibers.size(); ++k)
        if (fibers[k].state == TU_AT_BLOCK) fibers[k].state = TU_RUNS, any = true;
    return any;
}

static int tu_run_block(std::vector<tu_fiber>& fibers, std::vector<char>& stacks) {
    for (std::size_t k = 0; k < fibers.size(); ++k) {
        fibers[k].state = TU_RUNS;
        getcontext(&fibers[k].context);
        fibers[k].context.uc_stack.ss_sp = stacks.data() + k * tu_stack;
        fibers[k].context.uc_stack.ss_size = tu_stack;
        fibers[k].context.uc_link = &tu_scheduler;
        makecontext(&fibers[k].context, tu_run_fiber, 0);
    }
    for (;;) {
        bool all_ended = true;
        for (std::size_t k = 0; k < fibers.size(); ++k) {
            if (fibers[k].state == TU_RUNS) {
                tu_at = threadIdx.x = (unsigned)k;
                swapcontext(&tu_scheduler, &fibers[k].context);
            }
            all_ended = all_ended && fibers[k].state == TU_ENDED;
        }
        if (all_ended) return 0;
        if (!tu_release(fibers)) return 1;  // some wait for a warp that waits for the block
    }
}

extern "C" int tu_host_launch(void (*kernel)(const long long*), const unsigned* grid, unsigned block,
                              const long long* table, std::size_t shared, int barriers) {
    gridDim.x = grid[0], gridDim.y = grid[1], gridDim.z = grid[2];
    blockDim.x = block;
    tu_kernel = kernel, tu_table = table;
    std::vector<char> dynamic(shared + 64);
    tu_dynamic_shared = dynamic.data() + (64 - (std::size_t)dynamic.data() % 64);
    std::vector<tu_fiber> fibers(barriers ? block : 0);
    std::vector<char> stacks(barriers ? block * tu_stack : 0);
    tu_fibers = barriers ? &fibers : nullptr;
    tu_unmarked = false;
    int failed = 0;
    for (unsigned z = 0; z < grid[2]; ++z)
        for (unsigned y = 0; y < grid[1]; ++y)
            for (unsigned x = 0; x < grid[0] && !failed; ++x) {
                blockIdx.x = x, blockIdx.y = y, blockIdx.z = z;
                std::memset(tu_dynamic_shared, 0xff, shared);
                if (barriers) {
                    failed = tu_run_block(fibers, stacks);
                } else {
                    for (unsigned k = 0; k < block; ++k) {
                        threadIdx.x = k;
                        kernel(table);
                    }
                }
            }
    return tu_unmarked ? 2 : failed;
}
