// Indicators on CUDA devices. C++14 without headers: for NVRTC 11.8 and later, and with TU_HOST for a host's compiler.
// Every kernel takes one argument, a table of int64, and is extern "C". To be compiled without fused multiply-add.

// ---- 1. What all else is written with

#ifdef TU_HOST
#include "host_shim.h"
#else
#define TU_BARRIERS(name)  // before a kernel that has barriers or shuffles: the host then runs its threads as fibers
template <class Item> __device__ __forceinline__ Item* tu_shared() {  // the shared memory that a launch asks for
    extern __shared__ double tu_dynamic[];
    return (Item*)tu_dynamic;
}
#endif
#define TU_INLINE __device__ __forceinline__

// A pointer of which nothing is known: what is read through it now was not kept in registers since it was read before.
TU_INLINE const long long* tu_again(const long long* table) {
#ifndef TU_HOST
    asm volatile("" : "+l"(table));
#endif
    return table;
}

TU_INLINE double tu_double(long long bits) { return __longlong_as_double(bits); }

#define TU_NAN tu_double(0x7ff8000000000000LL)
#define TU_INF tu_double(0x7ff0000000000000LL)

struct tu_pair {
    double first, second;
};

// As numba has them: a NaN stays where it comes first, and of two zeros the first stays.
template <class Number> TU_INLINE Number tu_max(Number a, Number b) { return b > a ? b : a; }
template <class Number> TU_INLINE Number tu_min(Number a, Number b) { return b < a ? b : a; }

// As Python has them, rounded down; by 0 they give 0.
template <class Whole> TU_INLINE Whole tu_mod(Whole a, Whole b) {
    if (b == 0) return 0;
    const Whole rest = a % b;
    return rest != 0 && (rest ^ b) < 0 ? rest + b : rest;
}
template <class Whole> TU_INLINE Whole tu_floor_div(Whole a, Whole b) {
    if (b == 0) return 0;
    const Whole whole = a / b;
    return a % b != 0 && ((a % b) ^ b) < 0 ? whole - 1 : whole;
}

// cpu/logarithms.py: parts, which reads the bits of a float.
TU_INLINE tu_pair tu_logarithms_parts(double value) {
    const bool tiny = value < 2.2250738585072014e-308;
    const unsigned long long half = 0x3fe6a09e667f3bcdULL, lift = 0x3ff0000000000000ULL - 0x3fe6a09e667f3bcdULL;
    const long long bits = __double_as_longlong(tiny ? value * 18014398509481984.0 : value);
    const unsigned long long lifted = (unsigned long long)bits + lift;
    const double whole = tu_double((long long)((lifted & 0x000fffffffffffffULL) + half));
    const double power = tu_double((long long)((lifted >> 52) | 0x4330000000000000ULL)) - (4503599627370496.0 + 1023.0);
    return tu_pair{whole, tiny ? power - 54.0 : power};
}

// What a lane remembers: nothing, a few rows in registers, or rows in the workspace, where lanes lie side by side.
struct tu_nothing {};
template <int Rows> struct tu_registers {
    double row[Rows];
    TU_INLINE double& operator[](int at) { return row[at]; }
};
struct tu_rows {
    double* row;
    int lanes;
    TU_INLINE double& operator[](int at) { return row[(long long)at * lanes]; }
};

// What all operators have: begin, bar, and, where some rows of the state are variables, what takes them from the state
// when all else has been set up and puts them back before a snapshot.
struct tu_operator {
    template <class State> TU_INLINE void take(State&) {}
    template <class State> TU_INLINE void put(State&) {}
};

// One thread of a fused program: a symbol, a chunk of the time, a set of parameters. table.py says what the words are.
struct tu_lane {
    const long long* table;
    long long lanes, lane, set, symbol, own, start, stop, stored, seen;

    // Find what the thread is to do; false where there is no work for it.
    TU_INLINE bool find(const long long* words) {
        table = words;
        const long long symbols = table[0], chunks = table[2], first = table[3];
        lanes = symbols * chunks * table[1];
        lane = (long long)blockIdx.x * blockDim.x + threadIdx.x;
        if (lane >= lanes) return false;
        const long long line = lane / symbols, chunk = line % chunks;
        set = line / chunks;
        symbol = lane - line * symbols;
        own = first + chunk * table[5];
        if (own > table[4]) own = table[4];
        start = own - first > table[6] ? own - table[6] : first;
        stop = table[4] - own > table[5] ? own + table[5] : table[4];
        stored = own > table[7] ? own : table[7];
        seen = table[8] + (start - first);
        return true;
    }
    TU_INLINE tu_rows workspace(long long row) const {
        return tu_rows{(double*)table[12] + row * lanes + lane, (int)lanes};
    }
    template <int Rows> TU_INLINE void load(tu_registers<Rows>& state, long long row, long long, double fill) const {
        const double* const from = (const double*)table[11];
#pragma unroll
        for (int k = 0; k < Rows; ++k) state.row[k] = from ? from[(row + k) * lanes + lane] : fill;
    }
    TU_INLINE void load(tu_rows& state, long long row, long long count, double fill) const {
        const double* const from = (const double*)table[11];
        for (int k = 0; k < (int)count; ++k) state[k] = from ? from[(row + k) * lanes + lane] : fill;
    }
    template <int Rows> TU_INLINE void keep(double* to, tu_registers<Rows>& state, long long row, long long) const {
#pragma unroll
        for (int k = 0; k < Rows; ++k) to[(row + k) * lanes + lane] = state.row[k];
    }
    TU_INLINE void keep(double* to, tu_rows& state, long long row, long long count) const {
        for (int k = 0; k < (int)count; ++k) to[(row + k) * lanes + lane] = state[k];
    }
    // Rows of a snapshot that this set of parameters does not have.
    TU_INLINE void clear(double* to, long long row) const {
        for (; row < table[13]; ++row) to[row * lanes + lane] = 0.0;
    }
};

// An input and a result: the address of this lane's first item, and items from bar to bar.
template <class Item> struct tu_input {
    const Item* item;
    long long down;
    TU_INLINE tu_input(const tu_lane& at, int word)
        : item((const Item*)at.table[word] + at.symbol * at.table[word + 2]), down(at.table[word + 1]) {}
    TU_INLINE double operator[](long long t) const { return (double)item[t * down]; }
};
template <class Item> struct tu_result {
    Item* item;
    long long down;
    TU_INLINE tu_result(const tu_lane& at, int word)
        : item((Item*)at.table[word] + at.set * at.table[word + 1] + at.symbol * at.table[word + 3]
               - at.table[7] * at.table[word + 2]),
          down(at.table[word + 2]) {}
    TU_INLINE void set(long long t, double value) const { item[t * down] = (Item)value; }
};

// ---- 2. What the kernels of the CPU do to one symbol

// begin: made by python -m tradeutils.indicators.cuda.translate
TU_INLINE double tu_steps_known(double value) {
    return ((value - value) == 0.0) ? value : TU_NAN;
}

TU_INLINE double tu_steps_advance(double count, double evidence, int mode) {
    bool good;
    double ended, going;
    good = (evidence - evidence) == 0.0;
    if (mode == 2) {
        return good ? (count + 1.0) : count;
    }
    if (mode == 1) {
        ended = (count != 0.0) ? (-1.0) : 0.0;
        going = (count >= 0.0) ? (count + 1.0) : (-1.0);
        return good ? going : ended;
    }
    return good ? (count + 1.0) : 0.0;
}

TU_INLINE double tu_steps_held(double after, double before, double evidence, int mode) {
    return ((mode == 2) && ((evidence - evidence) != 0.0)) ? before : after;
}

TU_INLINE double tu_steps_within(double value, double age, double period) {
    return (age >= period) ? value : TU_NAN;
}

TU_INLINE double tu_steps_seed(double value, double average, double age, double period, double scale) {
    double total;
    total = value + ((age > 1.0) ? average : 0.0);
    return (age == period) ? (total * scale) : total;
}

TU_INLINE double tu_steps_exponential(double value, double average, double age, double period, double scale, double
        alpha) {
    double seeded, moved;
    seeded = tu_steps_seed(value, average, age, period, scale);
    moved = ((value - average) * alpha) + average;
    return (age > period) ? moved : seeded;
}

TU_INLINE double tu_steps_wilder(double value, double average, double age, double period, double scale) {
    double seeded, moved;
    seeded = tu_steps_seed(value, average, age, period, scale);
    moved = ((average * (period - 1.0)) + value) * scale;
    return (age > period) ? moved : seeded;
}

TU_INLINE tu_pair tu_directional_moved(double high, double low, double high_before, double low_before) {
    double up, down;
    up = high - high_before;
    down = low_before - low;
    return tu_pair{((up > down) && (up > 0.0)) ? up : 0.0, ((down > up) && (down > 0.0)) ? down : 0.0};
}

TU_INLINE double tu_directional_decayed(double value, double sum_, double age, double period, double scale) {
    double before, fading;
    before = (age > 1.0) ? sum_ : 0.0;
    fading = before - (before * scale);
    return ((age >= period) ? fading : before) + value;
}

TU_INLINE double tu_logarithms_of_parts(double beyond, double power) {
    double s, z, rest, half;
    s = beyond / (2.0 + beyond);
    z = s * s;
    rest = z * (0.6666666666666666 + (z * (0.4000000000000088 + (z * (0.28571428570803614 + (z * (0.22222222391713917 +
            (z * (0.18181795640132906 + (z * (0.15386239702814658 + (z * (0.13268773138656886 + (z *
            0.13086626147840102))))))))))))));
    half = (0.5 * beyond) * beyond;
    return (power * 0.6931471803691238) - ((half - ((s * (half + rest)) + (power * 1.9082149292705877e-10))) - beyond);
}

TU_INLINE double tu_logarithms_logarithm(double value) {
    double whole, power, made;
    {
        const tu_pair tu_both = tu_logarithms_parts(value);
        whole = tu_both.first;
        power = tu_both.second;
    }
    made = tu_logarithms_of_parts(whole - 1.0, power);
    return ((value > 0.0) & (value < TU_INF)) ? made : TU_NAN;
}

TU_INLINE double tu_extremes_larger(double a, double b) {
    double chosen;
    chosen = (a > b) ? a : b;
    return (a == a) ? chosen : a;
}

TU_INLINE double tu_extremes_smaller(double a, double b) {
    double chosen;
    chosen = (a < b) ? a : b;
    return (a == a) ? chosen : a;
}

template <class State>
TU_INLINE void tu_flows_add_up(State& state, int period) {
    double rising, falling, turnover;
    if (state[6] > 0.0) {
        falling = 0.0;
        rising = falling;
#pragma unroll 1
        for (int k = 0; k < period; k += 1) {
            turnover = state[7 + k];
            rising += tu_max<double>(turnover, 0.0);
            falling += tu_max<double>(-turnover, 0.0);
        }
        state[4] = rising;
        state[5] = falling;
    }
}

TU_INLINE double tu_steps_true_range(double high, double low, double previous) {
    return tu_max<double>(tu_max<double>(high - low, fabs(high - previous)), fabs(low - previous));
}

TU_INLINE double tu_logarithms_logarithm_of_ratio(double now, double before) {
    double share, whole, power, made;
    share = now / before;
    {
        const tu_pair tu_both = tu_logarithms_parts(share);
        whole = tu_both.first;
        power = tu_both.second;
    }
    made = tu_logarithms_of_parts((power == 0.0) ? ((now - before) / before) : (whole - 1.0), power);
    return ((share > 0.0) & (share < TU_INF)) ? made : TU_NAN;
}

TU_INLINE double tu_reversal_first_side(double top, double bottom, double top1, double bottom1) {
    double fall, rise;
    fall = bottom1 - bottom;
    rise = top - top1;
    return (fall > 0.0) ? ((rise < fall) ? (-1.0) : 1.0) : 1.0;
}

TU_INLINE tu_pair tu_reversal_ends(double top, double bottom, double side) {
    double reach, base;
    reach = -bottom;
    base = -top;
    return tu_pair{(side > 0.0) ? top : reach, (side > 0.0) ? bottom : base};
}

TU_INLINE tu_pair tu_reversal_hastened(double reach, double extreme, double speed, double acceleration, double maximum,
        bool counts) {
    double faster;
    bool further;
    faster = tu_min<double>(speed + acceleration, maximum);
    further = (reach > extreme) & counts;
    return tu_pair{further ? reach : extreme, further ? faster : speed};
}

TU_INLINE double tu_shares_share(double part, double whole) {
    bool some;
    double made;
    some = whole != 0.0;
    made = part / (some ? whole : 1.0);
    return tu_steps_known(some ? made : (part - part));
}

template <int mode> struct tu_op_adaptive_adaptive : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double slowest) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double rate, double& out) {
        double base, moved, value, average, broken;
        value = tu_steps_known(x);
        average = state[1];
        base = (average == average) ? average : state[0];
        moved = tu_steps_known((rate * (value - base)) + base);
        if (mode == 2) {
            state[0] = (value == value) ? value : state[0];
            state[1] = (moved == moved) ? moved : average;
        } else if (mode == 0) {
            state[0] = value;
            state[1] = moved;
        } else {
            broken = (average == average) ? TU_INF : TU_NAN;
            state[0] = value;
            state[1] = (moved == moved) ? moved : broken;
        }
        out = moved;
    }
};

template <int mode> struct tu_op_adaptive_pace : tu_operator {
    int period, total, last;
    double slow, span;
    int tu_phase;
    double tu_row_total, tu_row_last;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_total = state[total];
        tu_row_last = state[last];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[total] = tu_row_total;
        state[last] = tu_row_last;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period, double tu_slow, double
            fast) {
        period = tu_period;
        slow = tu_slow;
        total = 2 * period;
        last = (2 * period) + 1;
        span = fast - slow;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, step, running, way, distance, share, rate;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            step = fabs(value - tu_row_last);
            running = tu_row_total + step;
            way = running + state[(period + phase) + 1];
            tu_row_total = running;
            state[period + phase] = step;
            tu_row_last = value;
            distance = fabs(value - state[phase]);
            state[phase] = value;
            share = distance / ((way != 0.0) ? way : 1.0);
            share = (way > distance) ? share : (1.0 + (way * 0.0));
            rate = (share * span) + slow;
            out = tu_steps_known(rate * rate);
        } else {
            value = tu_steps_known(x);
            state[(2 * period) - 1] = fabs(value - tu_row_last);
            tu_row_total = 0.0;
            tu_row_last = value;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[((2 * period) - 1) - back] += state[(2 * period) - back];
            }
            value = tu_row_last;
            way = state[period];
            distance = fabs(value - state[phase]);
            state[phase] = value;
            share = distance / ((way != 0.0) ? way : 1.0);
            share = (way > distance) ? share : (1.0 + (way * 0.0));
            rate = (share * span) + slow;
            out = tu_steps_known(rate * rate);
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_averages_cumulative : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, total;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        total = value + ((count > 1.0) ? state[1] : 0.0);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(total, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(total, count, 1.0);
    }
};

template <int mode> struct tu_op_averages_ema : tu_operator {
    double size, scale, alpha;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period) {
        size = (double)period;
        scale = 1.0 / (double)period;
        alpha = 2.0 / ((double)period + 1.0);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, average;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        average = tu_steps_exponential(value, state[1], count, size, scale, alpha);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(average, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(average, count, size);
    }
};

template <int mode> struct tu_op_averages_rma : tu_operator {
    double size, scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period) {
        size = (double)period;
        scale = 1.0 / (double)period;
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, average;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        average = tu_steps_wilder(value, state[1], count, size, scale);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(average, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(average, count, size);
    }
};

template <int mode> struct tu_op_averages_smooth : tu_operator {
    double alpha, size, scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double tu_alpha, int seed) {
        alpha = tu_alpha;
        size = (double)seed;
        scale = 1.0 / (double)seed;
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, average;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        average = tu_steps_exponential(value, state[1], count, size, scale, alpha);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(average, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(average, count, size);
    }
};

template <int mode> struct tu_op_candles_balance : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double open_price, const double high, const double
            low, const double close, double& out) {
        double share, body, reach;
        body = close - open_price;
        reach = high - low;
        share = body / ((reach > 0.0) ? reach : 1.0);
        out = tu_steps_known(((reach > 0.0) ? share : (body - body)) + (reach - reach));
    }
};

template <int mode> struct tu_op_candles_heikin_ashi : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double open_price, const double high, const double
            low, const double close, double& open_out, double& high_out, double& low_out, double& close_out) {
        double last, count, carried, first, gone, top, bottom, price, upper, lower;
        top = high;
        bottom = low;
        price = close;
        last = tu_steps_known((((top + bottom) + price) + open_price) / 4.0);
        count = tu_steps_advance(state[0], last, mode);
        carried = (state[1] + state[2]) / 2.0;
        first = (count > 1.0) ? carried : ((open_price + price) / 2.0);
        gone = (count > 0.0) ? (last - last) : TU_NAN;
        state[0] = count;
        {
            const double tu_0 = tu_steps_held(first, state[1], last, mode);
            const double tu_1 = tu_steps_held(last, state[2], last, mode);
            state[1] = tu_0;
            state[2] = tu_1;
        }
        upper = tu_max<double>(last, first);
        lower = tu_min<double>(last, first);
        open_out = first + gone;
        high_out = tu_max<double>(upper, top) + gone;
        low_out = tu_min<double>(lower, bottom) + gone;
        close_out = last + gone;
    }
};

template <int mode> struct tu_op_candles_mean_of_four : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double open_price, const double high, const double
            low, const double close, double& out) {
        out = tu_steps_known((((high + low) + close) + open_price) * 0.25);
    }
};

template <int mode> struct tu_op_candles_middle : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& out) {
        out = tu_steps_known((high + low) * 0.5);
    }
};

template <int mode> struct tu_op_candles_money_flow : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            const double volume, double& out) {
        double share, top, bottom, price, traded, reach, standing;
        top = high;
        bottom = low;
        price = close;
        traded = volume;
        reach = top - bottom;
        standing = (price - bottom) - (top - price);
        share = standing / ((reach > 0.0) ? reach : 1.0);
        out = tu_steps_known(((reach > 0.0) ? share : (standing - standing)) * traded);
    }
};

template <int mode> struct tu_op_candles_weighted_close : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& out) {
        out = tu_steps_known(((high + low) + (close * 2.0)) * 0.25);
    }
};

template <int mode> struct tu_op_carried_apart : tu_operator {
    double quick, calm, size;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int fast, int slow) {
        quick = 2.0 / ((double)fast + 1.0);
        calm = 2.0 / ((double)slow + 1.0);
        size = (double)(tu_max<int>(fast, slow));
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, near, far;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        near = (quick * value) + ((1.0 - quick) * state[1]);
        far = (calm * value) + ((1.0 - calm) * state[2]);
        {
            const double tu_0 = (count > 1.0) ? near : value;
            const double tu_1 = (count > 1.0) ? far : value;
            near = tu_0;
            far = tu_1;
        }
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(near, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        state[2] = tu_steps_held(far, state[2], value, mode);
        out = tu_steps_within(near - far, count, size);
    }
};

template <int mode> struct tu_op_carried_compounded : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double rate, double& out) {
        double value, count, before, product;
        value = tu_steps_known(rate);
        count = tu_steps_advance(state[0], value, mode);
        before = (count > 1.0) ? state[1] : 1.0;
        product = before + (before * value);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(product, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(product, count, 1.0);
    }
};

template <int mode> struct tu_op_carried_previous : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double first, double& out) {
        double good, count, before, value, start;
        value = x;
        start = first;
        good = tu_steps_known(value + (start - start));
        count = tu_steps_advance(state[0], good, mode);
        before = (count > 1.0) ? state[1] : start;
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(value, state[1], good, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(before + (good - good), count, 1.0);
    }
};

template <int mode> struct tu_op_carried_relative_change : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double count, made, value, last;
        bool some;
        value = tu_steps_known(x);
        last = state[1];
        count = tu_steps_advance(state[0], value, mode);
        some = (count > 1.0) & (last != 0.0);
        made = (value - last) / (some ? last : 1.0);
        state[0] = count;
        state[1] = tu_steps_held(value, last, value, mode);
        out = tu_steps_known(tu_steps_within(some ? made : (value - value), count, 1.0));
    }
};

template <int mode> struct tu_op_carried_seasoned : tu_operator {
    int bars;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_bars) {
        bars = tu_bars;
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        state[0] = count;
        out = tu_steps_within(value, count, (double)bars);
    }
};

template <int mode> struct tu_op_channels_distance : tu_operator {
    double scale, noise;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double tu_scale, double tu_noise) {
        scale = tu_scale;
        noise = tu_noise;
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double middle, const double spread,
            double& out) {
        double part, away, wide;
        away = x - middle;
        wide = spread;
        part = away / (scale * wide);
        out = tu_steps_known((wide > (noise * fabs(middle))) ? part : ((away - away) + (wide - wide)));
    }
};

template <int mode> struct tu_op_channels_position : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double highest, const double lowest,
            double& out) {
        double part, above, whole;
        above = x - lowest;
        whole = highest - lowest;
        part = 100.0 * (above / whole);
        out = tu_steps_known((whole != 0.0) ? part : (above - above));
    }
};

template <int mode> struct tu_op_channels_supertrend : tu_operator {
    double multiplier, first;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double tu_multiplier, double tu_first)
            {
        multiplier = tu_multiplier;
        first = tu_first;
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            const double reach, double& band_out, double& direction_out) {
        double good, count, following_upper, following_lower, upper, lower, turned, kept, following, direction, band,
                price, middle, away, above, below, before, nearer_upper, nearer_lower;
        price = close;
        middle = 0.5 * (high + low);
        away = multiplier * reach;
        good = tu_steps_known(((middle - middle) + (away - away)) + price);
        count = tu_steps_advance(state[0], good, mode);
        above = state[1];
        below = state[2];
        before = state[3];
        upper = middle + away;
        lower = middle - away;
        nearer_upper = tu_min<double>(upper, above);
        nearer_lower = tu_max<double>(lower, below);
        following_upper = (before > above) ? upper : nearer_upper;
        following_lower = (before < below) ? lower : nearer_lower;
        upper = (count > 1.0) ? following_upper : upper;
        lower = (count > 1.0) ? following_lower : lower;
        turned = (price > upper) ? 1.0 : (-1.0);
        kept = (price < lower) ? (-1.0) : 1.0;
        following = (state[4] < 0.0) ? turned : kept;
        direction = (count > 1.0) ? following : first;
        state[0] = count;
        state[1] = tu_steps_held(upper, above, good, mode);
        state[2] = tu_steps_held(lower, below, good, mode);
        state[3] = tu_steps_held(price, before, good, mode);
        state[4] = tu_steps_held(direction, state[4], good, mode);
        band = (direction < 0.0) ? upper : lower;
        band_out = tu_steps_within(band + (good - good), count, 1.0);
        direction_out = tu_steps_within(direction + (good - good), count, 1.0);
    }
};

template <int mode> struct tu_op_directional_adx : tu_operator {
    double size, fade, length, scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period, int smoothing) {
        size = (double)period;
        fade = 1.0 / (double)period;
        length = (double)smoothing;
        scale = 1.0 / (double)smoothing;
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& out) {
        double good, count, age, both, index, seeded, going, moving, average, top, bottom, up, down, plus, minus,
                indices;
        top = high;
        bottom = low;
        good = tu_steps_known((top - top) + bottom);
        count = tu_steps_advance(state[0], good, mode);
        {
            const tu_pair tu_both = tu_directional_moved(top, bottom, state[1], state[2]);
            up = tu_both.first;
            down = tu_both.second;
        }
        age = count - 1.0;
        plus = tu_directional_decayed(up, state[3], age, size, fade);
        minus = tu_directional_decayed(down, state[4], age, size, fade);
        both = plus + minus;
        index = 100.0 * (fabs(plus - minus) / ((both != 0.0) ? both : 1.0));
        indices = age - (size - 1.0);
        average = state[5];
        seeded = tu_steps_seed((both != 0.0) ? index : 0.0, average, indices, length, scale);
        going = ((average * (length - 1.0)) + index) * scale;
        moving = (both == 0.0) ? average : going;
        average = (indices > length) ? moving : seeded;
        state[0] = count;
        {
            const double tu_0 = tu_steps_held(top, state[1], good, mode);
            const double tu_1 = tu_steps_held(bottom, state[2], good, mode);
            state[1] = tu_0;
            state[2] = tu_1;
        }
        {
            const double tu_0 = tu_steps_held(plus, state[3], good, mode);
            const double tu_1 = tu_steps_held(minus, state[4], good, mode);
            state[3] = tu_0;
            state[4] = tu_1;
        }
        state[5] = tu_steps_held(average, state[5], good, mode);
        out = tu_steps_within(average + (good - good), indices, length);
    }
};

template <int mode> struct tu_op_directional_decaying : tu_operator {
    double size, scale, least;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period, int first) {
        size = (double)period;
        scale = 1.0 / (double)period;
        least = (double)first;
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double value, count, sum_;
        value = tu_steps_known(x);
        count = tu_steps_advance(state[0], value, mode);
        sum_ = tu_directional_decayed(value, state[1], count, size, scale);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(sum_, state[1], value, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(sum_, count, least);
    }
};

template <int mode> struct tu_op_directional_directional_index : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double plus, const double minus, double& out) {
        double both, count, index, last;
        both = tu_steps_known(plus + minus);
        count = tu_steps_advance(state[0], both, mode);
        index = 100.0 * (fabs(plus - minus) / ((both != 0.0) ? both : 1.0));
        last = (count > 1.0) ? state[1] : 0.0;
        index = (both == 0.0) ? last : index;
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(index, state[1], both, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        out = tu_steps_within(index, count, 1.0);
    }
};

template <int mode> struct tu_op_directional_movement : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& plus_out,
            double& minus_out) {
        double good, count, top, bottom, plus, minus;
        top = high;
        bottom = low;
        good = tu_steps_known((top - top) + bottom);
        count = tu_steps_advance(state[0], good, mode);
        {
            const tu_pair tu_both = tu_directional_moved(top, bottom, state[1], state[2]);
            plus = tu_both.first;
            minus = tu_both.second;
        }
        state[0] = count;
        {
            const double tu_0 = tu_steps_held(top, state[1], good, mode);
            const double tu_1 = tu_steps_held(bottom, state[2], good, mode);
            state[1] = tu_0;
            state[2] = tu_1;
        }
        plus_out = tu_steps_within(plus + (good - good), count, 2.0);
        minus_out = tu_steps_within(minus + (good - good), count, 2.0);
    }
};

template <int mode> struct tu_op_elementwise_absolute : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        out = tu_steps_known(fabs(a));
    }
};

template <int mode> struct tu_op_elementwise_add : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        out = tu_steps_known(a + b);
    }
};

template <int mode> struct tu_op_elementwise_divide : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        out = tu_steps_known((a / b) + (b - b));
    }
};

template <int mode> struct tu_op_elementwise_exponential : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        double value;
        value = a;
        out = (fabs(value) < 709.0) ? exp(value) : (((value <= (-709.0)) ? 0.0 : TU_NAN) * tu_steps_known(value));
    }
};

template <int mode> struct tu_op_elementwise_greater : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        double x, y;
        x = a;
        y = b;
        out = (((x > y) ? 1.0 : 0.0) + (x - x)) + (y - y);
    }
};

template <int mode> struct tu_op_elementwise_greater_equal : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        double x, y;
        x = a;
        y = b;
        out = (((x >= y) ? 1.0 : 0.0) + (x - x)) + (y - y);
    }
};

template <int mode> struct tu_op_elementwise_logarithm : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        out = tu_logarithms_logarithm(a);
    }
};

template <int mode> struct tu_op_elementwise_maximum : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        double x, y;
        x = a;
        y = b;
        out = (tu_max<double>(y, x) + (x - x)) + (y - y);
    }
};

template <int mode> struct tu_op_elementwise_minimum : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        double x, y;
        x = a;
        y = b;
        out = (tu_min<double>(y, x) + (x - x)) + (y - y);
    }
};

template <int mode> struct tu_op_elementwise_multiply : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        out = tu_steps_known(a * b);
    }
};

template <int mode> struct tu_op_elementwise_negative : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        out = tu_steps_known(-a);
    }
};

template <int mode> struct tu_op_elementwise_ratio : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, const double otherwise,
            double& out) {
        bool some;
        double share, top, bottom, instead;
        top = a;
        bottom = b;
        instead = otherwise;
        some = bottom != 0.0;
        share = top / (some ? bottom : 1.0);
        out = tu_steps_known((some ? share : instead) + ((top - top) + (bottom - bottom)));
    }
};

template <int mode> struct tu_op_elementwise_sign : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        double value, found;
        value = a;
        found = (value > 0.0) ? 1.0 : ((value < 0.0) ? (-1.0) : 0.0);
        out = found + (value - value);
    }
};

template <int mode> struct tu_op_elementwise_square_root : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, double& out) {
        double value;
        value = a;
        out = tu_steps_known(sqrt((value >= 0.0) ? value : TU_NAN));
    }
};

template <int mode> struct tu_op_elementwise_subtract : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        out = tu_steps_known(a - b);
    }
};

template <int mode> struct tu_op_elementwise_together : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, double& out) {
        out = tu_steps_known(a) + (b - b);
    }
};

template <int mode> struct tu_op_elementwise_true_range : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double previous,
            double& out) {
        double widest, top, bottom, before;
        top = high;
        bottom = low;
        before = previous;
        widest = tu_max<double>(tu_max<double>(top - bottom, fabs(top - before)), fabs(bottom - before));
        out = ((widest + (top - top)) + (bottom - bottom)) + (before - before);
    }
};

template <int mode> struct tu_op_elementwise_where : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double condition, const double a, const double b,
            double& out) {
        double one, other, asked;
        one = a;
        other = b;
        asked = condition;
        out = tu_steps_known((asked != 0.0) ? one : other) + (asked - asked);
    }
};

template <int mode> struct tu_op_extremes_bars_since_highest : tu_operator {
    int period, running, running_at;
    int tu_phase;
    double tu_row_running, tu_row_running_at;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_running = state[running];
        tu_row_running_at = state[running_at];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[running] = tu_row_running;
        state[running_at] = tu_row_running_at;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        running = 2 * period;
        running_at = (2 * period) + 1;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase, following;
        double now, ago, value, at, top, since, before, before_at, at_here, newest;
        bool last, newer, older;
        phase = tu_phase;
        now = (double)phase;
        last = phase == (period - 1);
        following = last ? 0 : (phase + 1);
        ago = (double)(phase + period);
        value = tu_steps_known(x);
        top = tu_row_running;
        at = tu_row_running_at;
        newer = (value >= top) || (phase == 0);
        at = newer ? now : at;
        top = ((newer ? value : top) + (value - value)) + ((phase == 0) ? 0.0 : (top - top));
        before = state[following];
        before_at = state[period + following];
        since = ((top >= before) || last) ? (now - at) : (ago - before_at);
        out = (since + (top - top)) + (last ? 0.0 : (before - before));
        tu_row_running = top;
        tu_row_running_at = at;
        state[phase] = value;
        state[period + phase] = now;
        if (last) {
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                at_here = (double)(phase - back);
                value = state[phase - back];
                newest = state[(phase - back) + 1];
                older = value > newest;
                state[phase - back] = (older ? value : newest) + (value - value);
                state[(period + phase) - back] = older ? at_here : state[((period + phase) - back) + 1];
            }
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_extremes_bars_since_lowest : tu_operator {
    int period, running, running_at;
    int tu_phase;
    double tu_row_running, tu_row_running_at;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_running = state[running];
        tu_row_running_at = state[running_at];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[running] = tu_row_running;
        state[running_at] = tu_row_running_at;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        running = 2 * period;
        running_at = (2 * period) + 1;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase, following;
        double now, ago, value, at, bottom, since, before, before_at, at_here, newest;
        bool last, newer, older;
        phase = tu_phase;
        now = (double)phase;
        last = phase == (period - 1);
        following = last ? 0 : (phase + 1);
        ago = (double)(phase + period);
        value = tu_steps_known(x);
        bottom = tu_row_running;
        at = tu_row_running_at;
        newer = (value <= bottom) || (phase == 0);
        at = newer ? now : at;
        bottom = ((newer ? value : bottom) + (value - value)) + ((phase == 0) ? 0.0 : (bottom - bottom));
        before = state[following];
        before_at = state[period + following];
        since = ((bottom <= before) || last) ? (now - at) : (ago - before_at);
        out = (since + (bottom - bottom)) + (last ? 0.0 : (before - before));
        tu_row_running = bottom;
        tu_row_running_at = at;
        state[phase] = value;
        state[period + phase] = now;
        if (last) {
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                at_here = (double)(phase - back);
                value = state[phase - back];
                newest = state[(phase - back) + 1];
                older = value < newest;
                state[phase - back] = (older ? value : newest) + (value - value);
                state[(period + phase) - back] = older ? at_here : state[((period + phase) - back) + 1];
            }
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_extremes_channel : tu_operator {
    int period, top, bottom;
    int tu_phase;
    double tu_row_top, tu_row_bottom;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_top = state[top];
        tu_row_bottom = state[bottom];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[top] = tu_row_top;
        state[bottom] = tu_row_bottom;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        top = 2 * period;
        bottom = (2 * period) + 1;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& upper_out,
            double& middle_out, double& lower_out) {
        int phase;
        double upper, lower, first, second, highest_so_far, lowest_so_far;
        phase = tu_phase;
        if (phase == (period - 1)) {
            {
                const double tu_0 = tu_steps_known(high);
                const double tu_1 = tu_steps_known(low);
                state[phase] = tu_0;
                state[period + phase] = tu_1;
            }
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[phase - back] = tu_extremes_larger(state[phase - back], state[(phase - back) + 1]);
                state[((2 * period) - 1) - back] = tu_extremes_smaller(state[((2 * period) - 1) - back], state[(((2 *
                        period) - 1) - back) + 1]);
            }
            upper = state[0];
            lower = state[period];
            upper_out = upper + (lower - lower);
            lower_out = lower + (upper - upper);
            middle_out = 0.5 * (upper + lower);
        } else {
            if (phase == 0) {
                {
                    const double tu_0 = tu_steps_known(high);
                    const double tu_1 = tu_steps_known(low);
                    tu_row_top = tu_0;
                    tu_row_bottom = tu_1;
                }
            }
            first = tu_steps_known(high);
            second = tu_steps_known(low);
            highest_so_far = tu_extremes_larger(first, tu_row_top);
            lowest_so_far = tu_extremes_smaller(second, tu_row_bottom);
            upper = tu_extremes_larger(highest_so_far, state[phase + 1]);
            lower = tu_extremes_smaller(lowest_so_far, state[(period + phase) + 1]);
            upper_out = upper + (lower - lower);
            lower_out = lower + (upper - upper);
            middle_out = 0.5 * (upper + lower);
            tu_row_top = highest_so_far;
            tu_row_bottom = lowest_so_far;
            state[phase] = first;
            state[period + phase] = second;
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_extremes_highest : tu_operator {
    int period;
    int tu_phase;
    double tu_row_period;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_period = state[period];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[period] = tu_row_period;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, running;
        phase = tu_phase;
        if (phase == (period - 1)) {
            state[phase] = tu_steps_known(x);
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[phase - back] = tu_extremes_larger(state[phase - back], state[(phase - back) + 1]);
            }
            out = state[0];
        } else if (phase == 0) {
            value = tu_steps_known(x);
            out = tu_extremes_larger(value, state[1]);
            tu_row_period = value;
            state[0] = value;
        } else {
            value = tu_steps_known(x);
            running = tu_extremes_larger(value, tu_row_period);
            out = tu_extremes_larger(running, state[phase + 1]);
            tu_row_period = running;
            state[phase] = value;
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_extremes_lowest : tu_operator {
    int period;
    int tu_phase;
    double tu_row_period;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_period = state[period];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[period] = tu_row_period;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, running;
        phase = tu_phase;
        if (phase == (period - 1)) {
            state[phase] = tu_steps_known(x);
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[phase - back] = tu_extremes_smaller(state[phase - back], state[(phase - back) + 1]);
            }
            out = state[0];
        } else if (phase == 0) {
            value = tu_steps_known(x);
            out = tu_extremes_smaller(value, state[1]);
            tu_row_period = value;
            state[0] = value;
        } else {
            value = tu_steps_known(x);
            running = tu_extremes_smaller(value, tu_row_period);
            out = tu_extremes_smaller(running, state[phase + 1]);
            tu_row_period = running;
            state[phase] = value;
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_flows_money_flow_index : tu_operator {
    int period;
    double size;
    int tu_phase;
    double tu_row_0, tu_row_1, tu_row_2, tu_row_3, tu_row_4, tu_row_5, tu_row_6;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_0 = state[0];
        tu_row_1 = state[1];
        tu_row_2 = state[2];
        tu_row_3 = state[3];
        tu_row_4 = state[4];
        tu_row_5 = state[5];
        tu_row_6 = state[6];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[0] = tu_row_0;
        state[1] = tu_row_1;
        state[2] = tu_row_2;
        state[3] = tu_row_3;
        state[4] = tu_row_4;
        state[5] = tu_row_5;
        state[6] = tu_row_6;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        size = (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double price, const double volume, double& out) {
        int at, doubtful;
        double turnover, count, left, counted, moves, rising, falling, stirred, doubt, value, before, kept, move, noise,
                up, down, part, both;
        bool going;
        at = 7 + tu_phase;
        doubtful = 0;
        value = price;
        before = tu_row_1;
        moves = tu_row_2;
        kept = state[at];
        turnover = tu_steps_known(value * volume);
        count = tu_steps_advance(tu_row_0, turnover, 0);
        move = value - before;
        noise = 1e-14 * value;
        up = (move > noise) ? turnover : 0.0;
        down = (move < (-noise)) ? turnover : 0.0;
        left = (moves >= size) ? kept : 0.0;
        counted = (count >= 2.0) ? (moves + 1.0) : 0.0;
        moves = ((turnover - turnover) == 0.0) ? counted : 0.0;
        rising = (tu_row_4 - tu_max<double>(0.0, left)) + up;
        falling = (tu_row_5 - tu_max<double>(0.0, -left)) + down;
        stirred = (tu_row_3 - ((left != 0.0) ? 1.0 : 0.0)) + (((up + down) != 0.0) ? 1.0 : 0.0);
        going = moves > 0.0;
        doubt = (fabs(left) > (1000000.0 * ((rising + falling) + turnover))) ? 1.0 : 0.0;
        doubtful |= (doubt > 0.0) ? 1 : 0;
        tu_row_0 = count;
        tu_row_1 = value;
        tu_row_2 = moves;
        tu_row_3 = going ? stirred : 0.0;
        tu_row_4 = going ? rising : 0.0;
        tu_row_5 = going ? falling : 0.0;
        tu_row_6 = doubt;
        state[at] = up - down;
        if (doubtful) {
            put(state);
            tu_flows_add_up(state, period);
            take(state);
        }
        rising = tu_row_4;
        both = tu_row_4 + tu_row_5;
        part = 100.0 * (rising / ((both != 0.0) ? both : 1.0));
        part = (tu_row_3 > 0.0) ? part : 0.0;
        part = tu_max<double>(0.0, part);
        out = tu_steps_within(tu_min<double>(100.0, part), tu_row_2, size);
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_flows_obv : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double close, const double volume, double& out) {
        double good, count, up, down, sum_, price, amount, moved;
        bool side;
        price = close;
        amount = tu_steps_known(volume);
        good = tu_steps_known((amount - amount) + price);
        count = tu_steps_advance(state[0], good, mode);
        up = (price > state[1]) ? 1.0 : 0.0;
        down = (price < state[1]) ? 1.0 : 0.0;
        moved = state[2] + ((up - down) * amount);
        side = count > 1.0;
        sum_ = (side ? moved : amount) + (good - good);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(price, state[1], good, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        state[2] = tu_steps_held(sum_, state[2], good, mode);
        out = tu_steps_within(sum_, count, 1.0);
    }
};

template <int mode> struct tu_op_flows_typical : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& out) {
        out = tu_steps_known(((high + low) + close) / 3.0);
    }
};

template <int mode> struct tu_op_gaussian_gaussian : tu_operator {
    int period;
    int tu_phase;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period, double offset, double
            sigma) {
        double nearest, least, total, center, spread, away, weight;
        period = tu_period;
        if (state[period] != state[period]) {
            center = offset * (double)(period - 1);
            spread = (double)period / sigma;
            nearest = (double)((int)floor(center + 0.5)) - center;
            least = (nearest / spread) * (nearest / spread);
            total = 0.0;
#pragma unroll 1
            for (int k = 0; k < period; k += 1) {
                away = ((double)k - center) / spread;
                total += exp(0.5 * (least - (away * away)));
            }
#pragma unroll 1
            for (int k = 0; k < period; k += 1) {
                away = ((double)k - center) / spread;
                weight = exp(0.5 * (least - (away * away))) / total;
                state[period + k] = weight;
            }
        }
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int at, row;
        double weight;
        at = tu_phase;
        state[at] = x;
        out = 0.0;
#pragma unroll 1
        for (int k = 0; k < period; k += 1) {
            row = tu_mod<int>((at + 1) + k, period);
            weight = state[period + k];
            out += weight * state[row];
        }
        out = ((out - out) == 0.0) ? out : TU_NAN;
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_mixing_mixture : tu_operator {
    double wa, wb, wc, wd;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double tu_wa, double tu_wb, double
            tu_wc, double tu_wd) {
        wa = tu_wa;
        wb = tu_wb;
        wc = tu_wc;
        wd = tu_wd;
    }
    template <class State> TU_INLINE void bar(State& state, const double a, const double b, const double c, const double
            d, double& out) {
        out = tu_steps_known((((wa * a) + (wb * b)) + (wc * c)) + (wd * d));
    }
};

template <int mode> struct tu_op_momentum_macd : tu_operator {
    double fast_size, fast_scale, fast_alpha, slow_size, slow_scale, slow_alpha, size, scale, alpha;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int fast, int slow, int signal) {
        if (fast > slow) {
            {
                const int tu_0 = slow;
                const int tu_1 = fast;
                fast = tu_0;
                slow = tu_1;
            }
        }
        fast_size = (double)fast;
        fast_scale = 1.0 / (double)fast;
        fast_alpha = 2.0 / ((double)fast + 1.0);
        slow_size = (double)slow;
        slow_scale = 1.0 / (double)slow;
        slow_alpha = 2.0 / ((double)slow + 1.0);
        size = (double)signal;
        scale = 1.0 / (double)signal;
        alpha = 2.0 / ((double)signal + 1.0);
    }
    template <class State> TU_INLINE void bar(State& state, const double close, double& line_out, double& signal_out,
            double& histogram_out) {
        double price, count, quick, calm, smooth, line, age;
        price = tu_steps_known(close);
        count = tu_steps_advance(state[0], price, mode);
        quick = tu_steps_exponential(price, state[1], count - (slow_size - fast_size), fast_size, fast_scale,
                fast_alpha);
        calm = tu_steps_exponential(price, state[2], count, slow_size, slow_scale, slow_alpha);
        line = quick - calm;
        age = count - (slow_size - 1.0);
        smooth = tu_steps_exponential(line, state[3], age, size, scale, alpha);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(quick, state[1], price, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        {
            const double tu_0 = tu_steps_held(calm, state[2], price, mode);
            const double tu_1 = tu_steps_held(smooth, state[3], price, mode);
            state[2] = tu_0;
            state[3] = tu_1;
        }
        line_out = tu_steps_within(line, age, size);
        signal_out = tu_steps_within(smooth, age, size);
        histogram_out = tu_steps_within(line - smooth, age, size);
    }
};

template <int mode> struct tu_op_momentum_rsi : tu_operator {
    double size, scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period) {
        size = (double)period;
        scale = 1.0 / (double)period;
    }
    template <class State> TU_INLINE void bar(State& state, const double close, double& out) {
        double price, count, rise, fall, total, move, age;
        price = tu_steps_known(close);
        count = tu_steps_advance(state[0], price, mode);
        move = price - state[1];
        age = count - 1.0;
        rise = tu_steps_wilder(tu_max<double>(move, 0.0), state[2], age, size, scale);
        fall = tu_steps_wilder(tu_max<double>(-move, 0.0), state[3], age, size, scale);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(price, state[1], price, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        {
            const double tu_0 = tu_steps_held(rise, state[2], price, mode);
            const double tu_1 = tu_steps_held(fall, state[3], price, mode);
            state[2] = tu_0;
            state[3] = tu_1;
        }
        total = rise + fall;
        out = tu_steps_within((total > 0.0) ? (100.0 * (rise / total)) : (total * 0.0), age, size);
    }
};

template <int mode> struct tu_op_movements_buying_pressure : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& pressure_out, double& way_out) {
        double unknown, top, bottom, price, before;
        top = high;
        bottom = low;
        price = close;
        before = state[0];
        unknown = (((top - top) + (bottom - bottom)) + (price - price)) + (before - before);
        pressure_out = (price - tu_min<double>(bottom, before)) + unknown;
        way_out = tu_steps_true_range(top, bottom, before) + unknown;
        state[0] = price;
    }
};

template <int mode> struct tu_op_movements_crossings : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& up_out, double& down_out, double& way_out) {
        double unknown, top, bottom, price, top1, bottom1, before;
        top = high;
        bottom = low;
        price = close;
        top1 = state[0];
        bottom1 = state[1];
        before = state[2];
        unknown = ((top - top) + (bottom - bottom)) + (price - price);
        unknown += ((top1 - top1) + (bottom1 - bottom1)) + (before - before);
        up_out = fabs(top - bottom1) + unknown;
        down_out = fabs(bottom - top1) + unknown;
        way_out = tu_steps_true_range(top, bottom, before) + unknown;
        state[0] = top;
        state[1] = bottom;
        state[2] = price;
    }
};

template <int mode> struct tu_op_movements_moves : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& move_out, double& size_out) {
        double value, move;
        value = x;
        move = tu_steps_known(value - state[0]);
        move_out = move;
        size_out = fabs(move);
        state[0] = value;
    }
};

template <int mode> struct tu_op_movements_rises_and_falls : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& rise_out, double& fall_out) {
        double value, move;
        value = x;
        move = tu_steps_known(value - state[0]);
        rise_out = tu_max<double>(move, 0.0);
        fall_out = tu_max<double>(-move, 0.0);
        state[0] = value;
    }
};

template <int mode> struct tu_op_order_ranked : tu_operator {
    int period, low, high, leaving, placed, last;
    int tu_phase;
    double tu_row_leaving, tu_row_placed;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_leaving = state[leaving];
        tu_row_placed = state[placed];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[leaving] = tu_row_leaving;
        state[placed] = tu_row_placed;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period, int tu_low, int tu_high)
            {
        period = tu_period;
        low = tu_low;
        high = tu_high;
        leaving = 2 * period;
        placed = (2 * period) + 1;
        last = (2 * period) - 1;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int at;
        double value, here, middle, below, above;
        at = tu_phase;
        value = x;
        tu_row_leaving = state[at];
        state[at] = ((value - value) == 0.0) ? value : TU_INF;
        tu_row_placed = -TU_INF;
#pragma unroll 1
        for (int k = period; k < last; k += 1) {
            here = (state[k] < tu_row_leaving) ? state[k] : state[k + 1];
            state[k] = tu_max<double>(tu_row_placed, tu_min<double>(here, state[at]));
            tu_row_placed = here;
        }
        state[last] = tu_max<double>(tu_row_placed, state[at]);
        below = state[period + low];
        above = state[period + high];
        middle = tu_steps_known(0.5 * (below + above));
        middle = (below == above) ? below : middle;
        out = (state[last] < TU_INF) ? middle : TU_NAN;
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_order_share_below : tu_operator {
    int period, ties;
    double size;
    int tu_phase;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period, int tu_ties) {
        period = tu_period;
        ties = tu_ties;
        size = (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        double distance, count;
        bool below;
        int at;
        out = 0.0;
#pragma unroll 1
        for (int k = 0; k < period; k += 1) {
            distance = x - state[k];
            below = ties ? (distance >= 0.0) : (distance > 0.0);
            count = out + (below ? 1.0 : 0.0);
            out = ((distance - distance) == 0.0) ? count : TU_NAN;
        }
        at = tu_phase;
        out /= size;
        state[at] = x;
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_ranges_atr : tu_operator {
    double size, scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int period) {
        size = (double)period;
        scale = 1.0 / (double)period;
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& out) {
        double good, count, age, average, top, bottom, price;
        top = high;
        bottom = low;
        price = close;
        good = tu_steps_known(((top - top) + (bottom - bottom)) + price);
        count = tu_steps_advance(state[0], good, mode);
        age = count - 1.0;
        average = tu_steps_wilder(tu_steps_true_range(top, bottom, state[1]), state[2], age, size, scale);
        {
            const double tu_0 = count;
            const double tu_1 = tu_steps_held(price, state[1], good, mode);
            state[0] = tu_0;
            state[1] = tu_1;
        }
        state[2] = tu_steps_held(average, state[2], good, mode);
        out = tu_steps_within(average + (good - good), age, size);
    }
};

template <int mode> struct tu_op_ranges_true_range_from_first : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, const double close,
            double& out) {
        double good, count, top, bottom, price, before, whole, own;
        top = high;
        bottom = low;
        price = close;
        before = state[1];
        good = tu_steps_known(((top - top) + (bottom - bottom)) + price);
        count = tu_steps_advance(state[0], good, mode);
        whole = tu_steps_true_range(top, bottom, before);
        own = top - bottom;
        state[0] = count;
        state[1] = tu_steps_held(price, before, good, mode);
        out = tu_steps_known(tu_steps_within(((count > 1.0) ? whole : own) + (good - good), count, 1.0));
    }
};

template <int mode> struct tu_op_regression_angle : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double slope, double& out) {
        out = atan(slope) * 57.29577951308232;
    }
};

template <int mode> struct tu_op_regression_covariance : tu_operator {
    int period, ys, xx, yy, xy, own, x_anchor, x_sum, x_squares, x_mean, y_anchor, y_sum, y_squares, y_mean, total;
    double scale;
    int tu_phase;
    double tu_row_x_anchor, tu_row_x_sum, tu_row_x_squares, tu_row_x_mean, tu_row_y_anchor, tu_row_y_sum,
            tu_row_y_squares, tu_row_y_mean, tu_row_total;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_x_anchor = state[x_anchor];
        tu_row_x_sum = state[x_sum];
        tu_row_x_squares = state[x_squares];
        tu_row_x_mean = state[x_mean];
        tu_row_y_anchor = state[y_anchor];
        tu_row_y_sum = state[y_sum];
        tu_row_y_squares = state[y_squares];
        tu_row_y_mean = state[y_mean];
        tu_row_total = state[total];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[x_anchor] = tu_row_x_anchor;
        state[x_sum] = tu_row_x_sum;
        state[x_squares] = tu_row_x_squares;
        state[x_mean] = tu_row_x_mean;
        state[y_anchor] = tu_row_y_anchor;
        state[y_sum] = tu_row_y_sum;
        state[y_squares] = tu_row_y_squares;
        state[y_mean] = tu_row_y_mean;
        state[total] = tu_row_total;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        ys = period;
        xx = 2 * period;
        yy = 3 * period;
        xy = 4 * period;
        own = 5 * period;
        x_anchor = own;
        x_sum = own + 1;
        x_squares = own + 2;
        x_mean = own + 3;
        y_anchor = own + 4;
        y_sum = own + 5;
        y_squares = own + 6;
        y_mean = own + 7;
        total = own + 8;
        scale = 1.0 / (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double y, double& both_out, double&
            x_out, double& y_out) {
        int phase, rest, at;
        double value, distance, mean, product, running, shared, squares, mean_x, mean_y, dx, dy;
        phase = tu_phase;
        rest = phase + 1;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            distance = value - tu_row_x_anchor;
            running = tu_row_x_sum + distance;
            squares = tu_row_x_squares + (distance * distance);
            mean = (running + state[rest]) * scale;
            x_out = tu_steps_known(((squares + state[xx + rest]) * scale) - (mean * mean));
            state[phase] = value;
            tu_row_x_sum = running;
            tu_row_x_squares = squares;
            tu_row_x_mean = mean;
            value = tu_steps_known(y);
            distance = value - tu_row_y_anchor;
            running = tu_row_y_sum + distance;
            squares = tu_row_y_squares + (distance * distance);
            mean = (running + state[ys + rest]) * scale;
            y_out = tu_steps_known(((squares + state[yy + rest]) * scale) - (mean * mean));
            state[ys + phase] = value;
            tu_row_y_sum = running;
            tu_row_y_squares = squares;
            tu_row_y_mean = mean;
            product = (state[phase] - tu_row_x_anchor) * (state[ys + phase] - tu_row_y_anchor);
            running = tu_row_total + product;
            shared = (running + state[xy + rest]) * scale;
            both_out = tu_steps_known(shared - (tu_row_x_mean * tu_row_y_mean));
            tu_row_total = running;
        } else {
            {
                const double tu_0 = tu_steps_known(x);
                const double tu_1 = tu_steps_known(y);
                tu_row_x_anchor = tu_0;
                tu_row_y_anchor = tu_1;
            }
            tu_row_x_sum = 0.0;
            tu_row_x_squares = 0.0;
            tu_row_total = 0.0;
            tu_row_y_sum = 0.0;
            tu_row_y_squares = 0.0;
            state[ys - 1] = 0.0;
            state[xx - 1] = 0.0;
            state[yy - 1] = 0.0;
            state[xy - 1] = 0.0;
            state[own - 1] = 0.0;
#pragma unroll 1
            for (int back = 2; back < period + 1; back += 1) {
                at = period - back;
                dx = state[at] - tu_row_x_anchor;
                dy = state[ys + at] - tu_row_y_anchor;
                state[xy + at] = state[(xy + at) + 1] + (dx * dy);
                distance = state[at] - tu_row_x_anchor;
                state[at] = state[at + 1] + distance;
                state[xx + at] = state[(xx + at) + 1] + (distance * distance);
                distance = state[ys + at] - tu_row_y_anchor;
                state[ys + at] = state[(ys + at) + 1] + distance;
                state[yy + at] = state[(yy + at) + 1] + (distance * distance);
            }
            mean_x = state[0] * scale;
            mean_y = state[ys] * scale;
            both_out = tu_steps_known((state[xy] * scale) - (mean_x * mean_y));
            x_out = tu_steps_known((state[xx] * scale) - (mean_x * mean_x));
            y_out = tu_steps_known((state[yy] * scale) - (mean_y * mean_y));
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_regression_line : tu_operator {
    int period, anchor, total, moment;
    double scale, middle, spread;
    int tu_phase;
    double tu_row_anchor, tu_row_total, tu_row_moment;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_total = state[total];
        tu_row_moment = state[moment];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[total] = tu_row_total;
        state[moment] = tu_row_moment;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        anchor = 2 * period;
        total = (2 * period) + 1;
        moment = (2 * period) + 2;
        scale = 1.0 / (double)period;
        middle = 0.5 * ((double)period - 1.0);
        spread = 12.0 / ((double)period * (((double)period * (double)period) - 1.0));
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& mean_out, double& slope_out) {
        int phase, at;
        double older, place, value, distance, summed, placed, running, turning;
        phase = tu_phase;
        if (phase < (period - 1)) {
            older = ((double)period - 1.0) - (double)phase;
            place = (double)phase;
            value = tu_steps_known(x);
            distance = value - tu_row_anchor;
            running = tu_row_total + distance;
            turning = tu_row_moment + (place * distance);
            state[phase] = value;
            tu_row_total = running;
            tu_row_moment = turning;
            summed = running + state[phase + 1];
            placed = (turning + (older * running)) + state[(period + phase) + 1];
            mean_out = tu_steps_known(tu_row_anchor + (summed * scale));
            slope_out = tu_steps_known((placed - (middle * summed)) * spread);
        } else {
            tu_row_anchor = tu_steps_known(x);
            tu_row_total = 0.0;
            tu_row_moment = 0.0;
            state[period - 1] = 0.0;
            state[(2 * period) - 1] = 0.0;
#pragma unroll 1
            for (int back = 2; back < period + 1; back += 1) {
                at = period - back;
                state[period + at] = state[(period + at) + 1] + state[at + 1];
                state[at] = state[at + 1] + (state[at] - tu_row_anchor);
            }
            mean_out = tu_steps_known(tu_row_anchor + (state[0] * scale));
            slope_out = tu_steps_known((state[period] - (middle * state[0])) * spread);
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_regression_standing : tu_operator {
    int period, anchor, total, squares;
    double scale;
    int tu_phase;
    double tu_row_anchor, tu_row_total, tu_row_squares;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_total = state[total];
        tu_row_squares = state[squares];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[total] = tu_row_total;
        state[squares] = tu_row_squares;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        anchor = 2 * period;
        total = (2 * period) + 1;
        squares = (2 * period) + 2;
        scale = 1.0 / (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase, at;
        double value, distance, mean, variance, spread, running, squared;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            distance = value - tu_row_anchor;
            running = tu_row_total + distance;
            squared = tu_row_squares + (distance * distance);
            state[phase] = value;
            tu_row_total = running;
            tu_row_squares = squared;
            mean = (running + state[phase + 1]) * scale;
            variance = ((squared + state[(period + phase) + 1]) * scale) - (mean * mean);
            spread = sqrt((variance > 0.0) ? variance : (variance * 0.0));
            out = tu_steps_known((spread == 0.0) ? 0.0 : ((distance - mean) / spread));
        } else {
            tu_row_anchor = tu_steps_known(x);
            tu_row_total = 0.0;
            tu_row_squares = 0.0;
            state[period - 1] = 0.0;
            state[(2 * period) - 1] = 0.0;
#pragma unroll 1
            for (int back = 2; back < period + 1; back += 1) {
                at = period - back;
                distance = state[at] - tu_row_anchor;
                state[at] = state[at + 1] + distance;
                state[period + at] = state[(period + at) + 1] + (distance * distance);
            }
            mean = state[0] * scale;
            variance = (state[period] * scale) - (mean * mean);
            spread = sqrt((variance > 0.0) ? variance : (variance * 0.0));
            out = tu_steps_known((spread == 0.0) ? 0.0 : ((-mean) / spread));
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_returns_log_return : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double now, const double before, double& out) {
        bool good;
        double made, to, since;
        to = now;
        since = before;
        good = (((to > 0.0) & (since > 0.0)) & (to < TU_INF)) & (since < TU_INF);
        made = tu_logarithms_logarithm_of_ratio(good ? to : 1.0, good ? since : 1.0);
        out = good ? made : TU_NAN;
    }
};

template <int mode> struct tu_op_reversal_sar : tu_operator {
    double maximum, start;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double acceleration, double tu_maximum)
            {
        maximum = tu_maximum;
        start = tu_min<double>(acceleration, maximum);
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& out) {
        double good, count, side, going, turn, back, top, bottom, top1, bottom1, side0, stop0, extreme0, speed0, begun,
                reach, base, reach1, base1, stop, extreme, speed, furthest, faster;
        bool turned, second;
        top = high;
        bottom = low;
        top1 = state[5];
        bottom1 = state[6];
        side0 = state[1];
        stop0 = state[2];
        extreme0 = state[3];
        speed0 = state[4];
        good = tu_steps_known((top - top) + bottom);
        count = tu_steps_advance(state[0], good, mode);
        second = count == 2.0;
        begun = tu_reversal_first_side(top, bottom, top1, bottom1);
        side = second ? begun : side0;
        {
            const tu_pair tu_both = tu_reversal_ends(top, bottom, side);
            reach = tu_both.first;
            base = tu_both.second;
        }
        {
            const tu_pair tu_both = tu_reversal_ends(top1, bottom1, side);
            reach1 = tu_both.first;
            base1 = tu_both.second;
        }
        stop = side * stop0;
        extreme = side * extreme0;
        {
            const double tu_0 = second ? base1 : stop;
            const double tu_1 = second ? reach : extreme;
            const double tu_2 = second ? start : speed0;
            stop = tu_0;
            extreme = tu_1;
            speed = tu_2;
        }
        {
            const double tu_0 = second ? reach : reach1;
            const double tu_1 = second ? base : base1;
            reach1 = tu_0;
            base1 = tu_1;
        }
        {
            const tu_pair tu_both = tu_reversal_hastened(reach, extreme, speed, start, maximum, true);
            furthest = tu_both.first;
            faster = tu_both.second;
        }
        going = tu_min<double>(tu_min<double>(stop + (faster * (furthest - stop)), base1), base);
        turn = tu_max<double>(tu_max<double>(extreme, reach1), reach);
        back = tu_max<double>(tu_max<double>(turn + (start * (base - turn)), reach1), reach);
        turned = base <= stop;
        state[0] = count;
        state[1] = tu_steps_held(turned ? (-side) : side, side0, good, mode);
        state[2] = tu_steps_held(side * (turned ? back : going), stop0, good, mode);
        state[3] = tu_steps_held(side * (turned ? base : furthest), extreme0, good, mode);
        state[4] = tu_steps_held(turned ? start : faster, speed0, good, mode);
        state[5] = tu_steps_held(top, top1, good, mode);
        state[6] = tu_steps_held(bottom, bottom1, good, mode);
        out = tu_steps_within((side * (turned ? turn : stop)) + (good - good), count, 2.0);
    }
};

template <int mode> struct tu_op_reversal_sar_tradingview : tu_operator {
    double acceleration, maximum;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double tu_acceleration, double
            tu_maximum) {
        acceleration = tu_acceleration;
        maximum = tu_maximum;
    }
    template <class State> TU_INLINE void bar(State& state, const double high, const double low, double& out) {
        double good, count, side, speed, stop, made, top, bottom, top1, bottom1, side0, stop0, extreme0, speed0, top2,
                bottom2, begun, reach, base, reach1, base1, reach2, base2, last, extreme, furthest, faster, going, back;
        bool turned, second;
        top = high;
        bottom = low;
        top1 = state[5];
        bottom1 = state[6];
        side0 = state[1];
        stop0 = state[2];
        extreme0 = state[3];
        speed0 = state[4];
        top2 = state[7];
        bottom2 = state[8];
        good = tu_steps_known((top - top) + bottom);
        count = tu_steps_advance(state[0], good, mode);
        second = count == 2.0;
        begun = tu_reversal_first_side(top, bottom, top1, bottom1);
        side = second ? begun : side0;
        {
            const tu_pair tu_both = tu_reversal_ends(top, bottom, side);
            reach = tu_both.first;
            base = tu_both.second;
        }
        {
            const tu_pair tu_both = tu_reversal_ends(top1, bottom1, side);
            reach1 = tu_both.first;
            base1 = tu_both.second;
        }
        {
            const tu_pair tu_both = tu_reversal_ends(top2, bottom2, side);
            reach2 = tu_both.first;
            base2 = tu_both.second;
        }
        {
            const double tu_0 = second ? reach1 : reach2;
            const double tu_1 = second ? base1 : base2;
            reach2 = tu_0;
            base2 = tu_1;
        }
        last = side * stop0;
        extreme = side * extreme0;
        {
            const double tu_0 = second ? base1 : last;
            const double tu_1 = second ? reach : extreme;
            last = tu_0;
            extreme = tu_1;
        }
        speed = second ? acceleration : speed0;
        stop = last + (speed * (extreme - last));
        {
            const tu_pair tu_both = tu_reversal_hastened(reach, extreme, speed, acceleration, maximum, count > 2.0);
            furthest = tu_both.first;
            faster = tu_both.second;
        }
        turned = stop > base;
        going = tu_min<double>(tu_min<double>(stop, base1), base2);
        back = tu_max<double>(tu_max<double>(tu_max<double>(reach, extreme), reach1), reach2);
        made = side * (turned ? back : going);
        state[0] = count;
        state[1] = tu_steps_held(turned ? (-side) : side, side0, good, mode);
        state[2] = tu_steps_held(made, stop0, good, mode);
        state[3] = tu_steps_held(side * (turned ? base : furthest), extreme0, good, mode);
        state[4] = tu_steps_held(turned ? acceleration : faster, speed0, good, mode);
        state[5] = tu_steps_held(top, top1, good, mode);
        state[6] = tu_steps_held(bottom, bottom1, good, mode);
        state[7] = tu_steps_held(top1, top2, good, mode);
        state[8] = tu_steps_held(bottom1, bottom2, good, mode);
        out = tu_steps_within(made + (good - good), count, 2.0);
    }
};

template <int mode> struct tu_op_sessions_cumulative_within : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double session, double& out) {
        double good, count, total, value, now, last, before;
        value = x;
        now = session;
        good = tu_steps_known(value + (now - now));
        count = tu_steps_advance(state[0], good, mode);
        last = state[1];
        before = state[2];
        total = value + (((count > 1.0) & (now == last)) ? before : 0.0);
        state[0] = count;
        state[1] = tu_steps_held(now, last, good, mode);
        state[2] = tu_steps_held(total, before, good, mode);
        out = tu_steps_within(total + (good - good), count, 1.0);
    }
};

template <int mode> struct tu_op_sessions_session : tu_operator {
    int length;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, double hours) {
        length = (int)floor((hours * 3600000.0) + 0.5);
    }
    template <class State> TU_INLINE void bar(State& state, const double time, double& out) {
        out = floor((tu_steps_known(time) - 345600000.0) / (double)length);
    }
};

template <int mode> struct tu_op_shares_depth : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double x, const double highest, const double lowest,
            double& out) {
        double top, made;
        top = highest;
        made = 100.0 * tu_shares_share(x - top, top - lowest);
        out = tu_min<double>(tu_max<double>(made, -100.0), 0.0);
    }
};

template <int mode> struct tu_op_shares_percent : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double part, const double whole, double& out) {
        out = 100.0 * tu_shares_share(part, whole);
    }
};

template <int mode> struct tu_op_shares_share_of_totals : tu_operator {
    int period, parts, wholes;
    int tu_phase;
    double tu_row_parts, tu_row_wholes;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_parts = state[parts];
        tu_row_wholes = state[wholes];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[parts] = tu_row_parts;
        state[wholes] = tu_row_wholes;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        parts = 2 * period;
        wholes = (2 * period) + 1;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double part, const double whole, double& out) {
        int phase;
        double value, running;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(part);
            running = tu_row_parts + value;
            out = running + state[phase + 1];
            tu_row_parts = running;
            state[phase] = value;
            value = tu_steps_known(whole);
            running = tu_row_wholes + value;
            out = tu_shares_share(out, running + state[(period + phase) + 1]);
            tu_row_wholes = running;
            state[period + phase] = value;
        } else {
            {
                const double tu_0 = tu_steps_known(part);
                const double tu_1 = tu_steps_known(whole);
                state[period - 1] = tu_0;
                state[(2 * period) - 1] = tu_1;
            }
            tu_row_parts = 0.0;
            tu_row_wholes = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[(period - 1) - back] += state[period - back];
                state[((2 * period) - 1) - back] += state[(2 * period) - back];
            }
            out = tu_shares_share(state[0], state[period]);
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_shares_ultimate : tu_operator {
    double scale;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
        scale = 100.0 / 7.0;
    }
    template <class State> TU_INLINE void bar(State& state, const double short_, const double middle, const double
            long_, double& out) {
        out = (((short_ * 4.0) + (middle * 2.0)) + long_) * scale;
    }
};

template <int mode> struct tu_op_transforms_fisher : tu_operator {
    template <class State> TU_INLINE void begin(State& state, long long tu_seen) {
    }
    template <class State> TU_INLINE void bar(State& state, const double place, double& out) {
        double count, smooth, made, value, smooth0, made0;
        bool begun;
        value = tu_steps_known(place);
        smooth0 = state[1];
        made0 = state[2];
        count = tu_steps_advance(state[0], value, mode);
        begun = count > 1.0;
        smooth = (0.66 * (value - 0.5)) + (0.67 * (begun ? smooth0 : 0.0));
        smooth = (smooth > 0.99) ? 0.999 : ((smooth < (-0.99)) ? (-0.999) : smooth);
        made = (0.5 * tu_logarithms_logarithm((1.0 + smooth) / (1.0 - smooth))) + (0.5 * (begun ? made0 : 0.0));
        state[0] = count;
        state[1] = tu_steps_held(smooth, smooth0, value, mode);
        state[2] = tu_steps_held(made, made0, value, mode);
        out = tu_steps_within(made, count, 1.0);
    }
};

template <int mode> struct tu_op_windows_bands : tu_operator {
    int period, anchor, sum_, squares;
    double deviations, scale;
    int tu_phase;
    double tu_row_anchor, tu_row_sum_, tu_row_squares;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_sum_ = state[sum_];
        tu_row_squares = state[squares];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[sum_] = tu_row_sum_;
        state[squares] = tu_row_squares;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period, double tu_deviations) {
        period = tu_period;
        deviations = tu_deviations;
        anchor = 2 * period;
        sum_ = (2 * period) + 1;
        squares = (2 * period) + 2;
        scale = 1.0 / (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& upper_out, double& middle_out,
            double& lower_out) {
        int phase;
        double value, distance, mean_of, mean_of_squares, variance, reach, middle, running, running_squares;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            distance = value - tu_row_anchor;
            running = tu_row_sum_ + distance;
            running_squares = tu_row_squares + (distance * distance);
            mean_of = (running + state[phase + 1]) * scale;
            mean_of_squares = (running_squares + state[(period + phase) + 1]) * scale;
            variance = mean_of_squares - (mean_of * mean_of);
            reach = deviations * sqrt((variance > 0.0) ? variance : (variance * 0.0));
            middle = tu_row_anchor + mean_of;
            upper_out = middle + reach;
            middle_out = middle;
            lower_out = middle - reach;
            tu_row_sum_ = running;
            tu_row_squares = running_squares;
            state[phase] = value;
        } else {
            value = tu_steps_known(x);
            tu_row_anchor = value;
            state[period - 1] = value - value;
            state[(2 * period) - 1] = value - value;
            tu_row_sum_ = 0.0;
            tu_row_squares = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                distance = state[(period - 1) - back] - tu_row_anchor;
                state[(period - 1) - back] = state[period - back] + distance;
                state[((2 * period) - 1) - back] = state[(2 * period) - back] + (distance * distance);
            }
            mean_of = state[0] * scale;
            mean_of_squares = state[period] * scale;
            variance = mean_of_squares - (mean_of * mean_of);
            reach = deviations * sqrt((variance > 0.0) ? variance : (variance * 0.0));
            middle = tu_row_anchor + mean_of;
            upper_out = middle + reach;
            middle_out = middle;
            lower_out = middle - reach;
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_deviation : tu_operator {
    int period, anchor, sum_, squares;
    double scale;
    int tu_phase;
    double tu_row_anchor, tu_row_sum_, tu_row_squares;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_sum_ = state[sum_];
        tu_row_squares = state[squares];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[sum_] = tu_row_sum_;
        state[squares] = tu_row_squares;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        anchor = 2 * period;
        sum_ = (2 * period) + 1;
        squares = (2 * period) + 2;
        scale = 1.0 / (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, distance, mean_of, variance, running, running_squares;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            distance = value - tu_row_anchor;
            running = tu_row_sum_ + distance;
            running_squares = tu_row_squares + (distance * distance);
            mean_of = (running + state[phase + 1]) * scale;
            variance = ((running_squares + state[(period + phase) + 1]) * scale) - (mean_of * mean_of);
            out = sqrt((variance > 0.0) ? variance : (variance * 0.0));
            tu_row_sum_ = running;
            tu_row_squares = running_squares;
            state[phase] = value;
        } else {
            value = tu_steps_known(x);
            tu_row_anchor = value;
            state[period - 1] = value - value;
            state[(2 * period) - 1] = value - value;
            tu_row_sum_ = 0.0;
            tu_row_squares = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                distance = state[(period - 1) - back] - tu_row_anchor;
                state[(period - 1) - back] = state[period - back] + distance;
                state[((2 * period) - 1) - back] = state[(2 * period) - back] + (distance * distance);
            }
            mean_of = state[0] * scale;
            variance = (state[period] * scale) - (mean_of * mean_of);
            out = sqrt((variance > 0.0) ? variance : (variance * 0.0));
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_lag : tu_operator {
    int bars;
    int tu_phase;
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_bars) {
        bars = tu_bars;
        tu_phase = (int)tu_mod<long long>(tu_seen, bars);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int at;
        double before;
        if (bars == 0) {
            out = tu_steps_known(x);
        } else {
            at = tu_phase;
            before = state[at];
            state[at] = x;
            out = tu_steps_known(before);
        }
        tu_phase = tu_phase + 1 == bars ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_mean : tu_operator {
    int period, anchor, sum_;
    double scale;
    int tu_phase;
    double tu_row_anchor, tu_row_sum_;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_sum_ = state[sum_];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[sum_] = tu_row_sum_;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        anchor = period;
        sum_ = period + 1;
        scale = 1.0 / (double)period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, running, distance;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            running = tu_row_sum_ + (value - tu_row_anchor);
            out = tu_row_anchor + ((running + state[phase + 1]) * scale);
            tu_row_sum_ = running;
            state[phase] = value;
        } else {
            tu_row_anchor = tu_steps_known(x);
            state[period - 1] = 0.0;
            tu_row_sum_ = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                distance = state[(period - 1) - back] - tu_row_anchor;
                state[(period - 1) - back] = state[period - back] + distance;
            }
            out = tu_row_anchor + (state[0] * scale);
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_spread : tu_operator {
    int period, fours;
    double size;
    int tu_phase;
    double tu_row_period;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_period = state[period];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[period] = tu_row_period;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        size = (double)period;
        fours = tu_floor_div<int>(period, 4) * 4;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& middle_out, double& out) {
        int at;
        double some, middle;
        at = tu_phase;
        state[at] = tu_steps_known(x);
        tu_row_period = 0.0;
#pragma unroll 1
        for (int k = 0; k < fours; k += 4) {
            some = (tu_row_period + state[k]) + state[k + 1];
            tu_row_period = (some + state[k + 2]) + state[k + 3];
        }
#pragma unroll 1
        for (int k = fours; k < period; k += 1) {
            tu_row_period += state[k];
        }
        middle_out = tu_row_period / size;
        tu_row_period = 0.0;
#pragma unroll 1
        for (int k = 0; k < fours; k += 4) {
            middle = middle_out;
            some = (tu_row_period + fabs(state[k] - middle)) + fabs(state[k + 1] - middle);
            tu_row_period = (some + fabs(state[k + 2] - middle)) + fabs(state[k + 3] - middle);
        }
#pragma unroll 1
        for (int k = fours; k < period; k += 1) {
            tu_row_period += fabs(state[k] - middle_out);
        }
        out = tu_row_period / size;
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_total : tu_operator {
    int period;
    int tu_phase;
    double tu_row_period;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_period = state[period];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[period] = tu_row_period;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double value, running;
        phase = tu_phase;
        if (phase < (period - 1)) {
            value = tu_steps_known(x);
            running = tu_row_period + value;
            out = running + state[phase + 1];
            tu_row_period = running;
            state[phase] = value;
        } else {
            state[period - 1] = tu_steps_known(x);
            tu_row_period = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                state[(period - 1) - back] += state[period - back];
            }
            out = state[0];
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};

template <int mode> struct tu_op_windows_weighted : tu_operator {
    int period, anchor, sum_, moment, suffix;
    double scale;
    int tu_phase;
    double tu_row_anchor, tu_row_sum_, tu_row_moment, tu_row_suffix;
    template <class State> TU_INLINE void take(State& state) {
        tu_row_anchor = state[anchor];
        tu_row_sum_ = state[sum_];
        tu_row_moment = state[moment];
        tu_row_suffix = state[suffix];
    }
    template <class State> TU_INLINE void put(State& state) {
        state[anchor] = tu_row_anchor;
        state[sum_] = tu_row_sum_;
        state[moment] = tu_row_moment;
        state[suffix] = tu_row_suffix;
    }
    template <class State> TU_INLINE void begin(State& state, long long tu_seen, int tu_period) {
        period = tu_period;
        anchor = period;
        sum_ = period + 1;
        moment = period + 2;
        suffix = period + 3;
        scale = 2.0 / ((double)period * ((double)period + 1.0));
        tu_phase = (int)tu_mod<long long>(tu_seen, period);
    }
    template <class State> TU_INLINE void bar(State& state, const double x, double& out) {
        int phase;
        double here, weight, value, distance, running, running_moment, plain;
        phase = tu_phase;
        if (phase < (period - 1)) {
            here = (double)phase;
            weight = (double)(period - phase);
            value = tu_steps_known(x);
            distance = value - tu_row_anchor;
            running = tu_row_sum_ + distance;
            running_moment = tu_row_moment + (here * distance);
            out = tu_row_anchor + ((state[phase + 1] + ((weight * running) + running_moment)) * scale);
            tu_row_sum_ = running;
            tu_row_moment = running_moment;
            state[phase] = value;
        } else {
            tu_row_anchor = tu_steps_known(x);
            state[period - 1] = 0.0;
            tu_row_suffix = 0.0;
            tu_row_sum_ = 0.0;
            tu_row_moment = 0.0;
#pragma unroll 1
            for (int back = 1; back < period; back += 1) {
                plain = tu_row_suffix + (state[(period - 1) - back] - tu_row_anchor);
                tu_row_suffix = plain;
                state[(period - 1) - back] = state[period - back] + plain;
            }
            out = tu_row_anchor + (state[0] * scale);
        }
        tu_phase = tu_phase + 1 == period ? 0 : tu_phase + 1;
    }
};
// end

// ---- 3. Scans

// What remembers by an affine rule, y' = b * y + a, of few symbols. A block for each (symbol, set of parameters)
// walks the bars tile by tile; each thread takes TU_ITEMS bars in a row. What a thread's bars do to any state that
// comes before them is one part; parts are joined over the threads by shuffles, so each learns the state before its
// bars, and goes over them once more as the CPU does. Two such passes make a tile: first what bars are good ones, for
// the rule of a bar depends on how many came before it, then the sums.

#define TU_ITEMS 8
#define TU_SCAN_THREADS 256  // of a block, at most; a multiple of 32 at least

enum {  // words of the table; those of the sets follow
    TU_SCAN_KIND, TU_SCAN_MODE, TU_SCAN_BARS, TU_SCAN_KEPT, TU_SCAN_COLUMNS, TU_SCAN_HEAD = TU_SCAN_COLUMNS + 3 * 5
};
enum { TU_SCAN_SET = 3 };  // words of a set: its size, 1 / size and alpha, float64
enum { TU_EXPONENTIAL, TU_WILDER, TU_SUM, TU_SIGNED };
enum { TU_SCAN_RESTART, TU_SCAN_PROPAGATE, TU_SCAN_HOLD };

// A column of one symbol and set: the address of its first bar, items from bar to bar, and whether it is float32.
struct tu_series {
    long long address, step, single;
    TU_INLINE double at(long long t) const {
        return single ? (double)((const float*)address)[t * step] : ((const double*)address)[t * step];
    }
    TU_INLINE void put(long long t, double value) const {
        if (single) ((float*)address)[t * step] = (float)value;
        else ((double*)address)[t * step] = value;
    }
};

TU_INLINE tu_series tu_series_of(const long long* words, long long symbol, long long set) {
    tu_series made;
    made.single = words[4];
    made.address = words[0] + (set * words[1] + symbol * words[3]) * (made.single ? 4 : 8);
    made.step = words[2];
    return made;
}

// Bars in a row, as what counts good bars sees them. bad: 0 none, 1 some, 2 PROPAGATE has ended the series; last: the
// last price of a good bar, NaN where there is none.
struct tu_run { double good, bad, last; };
// Bars in a row, as y sees them: y' = b * y + a.
struct tu_affine { double b, a; };

TU_INLINE tu_run tu_join(tu_run before, tu_run after, int mode) {
    tu_run both;
    bool ended = before.bad == 2.0 || after.bad == 2.0 || (before.good > 0.0 && after.bad == 1.0);
    both.bad = before.bad > after.bad ? before.bad : after.bad;
    if (mode == TU_SCAN_PROPAGATE && ended) both.bad = 2.0;
    both.good = mode == TU_SCAN_RESTART && after.bad != 0.0 ? after.good : before.good + after.good;
    both.last = after.last == after.last ? after.last : before.last;
    return both;
}

TU_INLINE tu_affine tu_join(tu_affine before, tu_affine after, int) {
    tu_affine both;
    both.b = after.b * before.b;
    both.a = after.b == 0.0 ? after.a : after.b * before.a + after.a;  // 0 forgets an infinity too
    return both;
}

TU_INLINE tu_run tu_lower(tu_run one, int by) {
    tu_run lower;
    lower.good = __shfl_up_sync(0xffffffffu, one.good, by);
    lower.bad = __shfl_up_sync(0xffffffffu, one.bad, by);
    lower.last = __shfl_up_sync(0xffffffffu, one.last, by);
    return lower;
}

TU_INLINE tu_affine tu_lower(tu_affine one, int by) {
    tu_affine lower;
    lower.b = __shfl_up_sync(0xffffffffu, one.b, by);
    lower.a = __shfl_up_sync(0xffffffffu, one.a, by);
    return lower;
}

// What `carried` and then the threads before this one make; `warps` is shared memory for one part of each warp.
template <class Part>
TU_INLINE Part tu_before(Part own, Part carried, Part* warps, int mode) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    Part all = own;
    for (int by = 1; by < 32; by <<= 1) {
        Part lower = tu_lower(all, by);
        if (lane >= by) all = tu_join(lower, all, mode);
    }
    if (lane == 31) warps[warp] = all;
    Part lower = tu_lower(all, 1);
    __syncthreads();
    Part before = carried;
    for (int at = 0; at < warp; ++at) before = tu_join(before, warps[at], mode);
    if (lane > 0) before = tu_join(before, lower, mode);
    __syncthreads();  // they are written again
    return before;
}

// A bar of one symbol; `amount` is what is summed.
struct tu_bar { double price, amount; bool good; };

template <bool SIGNED>
TU_INLINE tu_bar tu_bar_of(double price, double volume) {
    tu_bar bar;
    bar.price = price;
    bar.amount = SIGNED ? volume : price;
    bar.good = price - price == 0.0 && bar.amount - bar.amount == 0.0;
    return bar;
}

TU_INLINE tu_run tu_run_of(tu_bar bar) {
    tu_run run;
    run.good = bar.good ? 1.0 : 0.0;
    run.bad = bar.good ? 0.0 : 1.0;
    run.last = bar.good ? bar.price : TU_NAN;
    return run;
}

// How one set averages, and in which mode; y' = beta * y + gain * amount once `size` bars have seeded it.
struct tu_rule { int kind, mode; double size, scale, alpha, beta, gain; };

TU_INLINE tu_rule tu_rule_of(const long long* table, const double* words) {
    tu_rule rule;
    rule.kind = (int)table[TU_SCAN_KIND];
    rule.mode = (int)table[TU_SCAN_MODE];
    rule.size = words[0];
    rule.scale = words[1];
    rule.alpha = words[2];
    const bool exponential = rule.kind == TU_EXPONENTIAL, wilder = rule.kind == TU_WILDER;
    rule.beta = exponential ? 1.0 - rule.alpha : wilder ? (rule.size - 1.0) * rule.scale : 1.0;
    rule.gain = exponential ? rule.alpha : wilder ? rule.scale : 1.0;
    return rule;
}

// Volume with the sign of the move since the last good price.
TU_INLINE double tu_signed(tu_bar bar, double last) {
    return ((bar.price > last ? 1.0 : 0.0) - (bar.price < last ? 1.0 : 0.0)) * bar.amount;
}

// What a bar does to y, where `count` good ones in a row end with it and `last` is the price before it.
template <bool SIGNED>
TU_INLINE tu_affine tu_affine_of(tu_bar bar, double count, double last, const tu_rule& rule) {
    tu_affine made = {1.0, 0.0};
    if (!bar.good || count < 0.0) {
        made.b = rule.mode == TU_SCAN_HOLD ? 1.0 : 0.0;
        return made;
    }
    if (count > rule.size) {
        made.b = rule.beta;
        made.a = SIGNED ? tu_signed(bar, last) : rule.gain * bar.amount;
        return made;
    }
    const double share = count == rule.size ? rule.scale : 1.0;  // summed for the seed, which is the mean
    made.b = count > 1.0 ? share : 0.0;
    made.a = share * bar.amount;
    return made;
}

// y after a bar, in the CPU's order of operations.
template <bool SIGNED>
TU_INLINE double tu_after(double y, tu_bar bar, double count, double last, const tu_rule& rule) {
    if (!bar.good || count < 0.0) return rule.mode == TU_SCAN_HOLD ? y : 0.0;
    if (count <= rule.size) {
        const double total = bar.amount + (count > 1.0 ? y : 0.0);
        return count == rule.size ? total * rule.scale : total;
    }
    if (rule.kind == TU_EXPONENTIAL) return (bar.amount - y) * rule.alpha + y;
    if (rule.kind == TU_WILDER) return (y * (rule.size - 1.0) + bar.amount) * rule.scale;
    return y + (SIGNED ? tu_signed(bar, last) : bar.amount);
}

TU_INLINE double tu_count(const tu_run& run) { return run.bad == 2.0 ? -1.0 : run.good; }

// Bars of a tile that each thread reads lie apart in shared memory by one item more: no two share a bank.
TU_INLINE int tu_padded(int at) { return at + at / TU_ITEMS; }

// Each thread's bars of the tile that begins at `start`, read so that neighbouring threads read neighbouring bars.
TU_INLINE void tu_take(double* own, const tu_series& from, double* tile, long long start, long long bars) {
    for (int k = 0; k < TU_ITEMS; ++k) {
        int at = k * blockDim.x + threadIdx.x;
        tile[tu_padded(at)] = start + at < bars ? from.at(start + at) : TU_NAN;
    }
    __syncthreads();
    for (int k = 0; k < TU_ITEMS; ++k) own[k] = tile[tu_padded(threadIdx.x * TU_ITEMS + k)];
    __syncthreads();
}

template <bool SIGNED>
__device__ void tu_scan_series(const long long* table, double* tile, tu_run* runs, tu_affine* parts, double* carry) {
    long long set = blockIdx.y, bars = table[TU_SCAN_BARS], kept = table[TU_SCAN_KEPT];
    const long long* columns = table + TU_SCAN_COLUMNS;
    tu_series prices = tu_series_of(columns, blockIdx.x, set);
    tu_series volumes = tu_series_of(columns + 5, blockIdx.x, set);
    tu_series results = tu_series_of(columns + 10, blockIdx.x, set);
    const tu_rule rule = tu_rule_of(table, (const double*)(table + TU_SCAN_HEAD + set * TU_SCAN_SET));
    int threads = blockDim.x, thread = threadIdx.x;
    if (thread == 0) { carry[0] = 0.0; carry[1] = 0.0; carry[2] = TU_NAN; carry[3] = 0.0; }
    for (long long start = 0; start < bars; start += threads * TU_ITEMS) {
        double price[TU_ITEMS], volume[TU_ITEMS];
        tu_take(price, prices, tile, start, bars);  // its barriers make `carry` known
        if (SIGNED) tu_take(volume, volumes, tile, start, bars);
        long long first = start + (long long)thread * TU_ITEMS;
        int own = first >= bars ? 0 : bars - first < TU_ITEMS ? (int)(bars - first) : TU_ITEMS;
        tu_run run = {0.0, 0.0, TU_NAN}, carried = {carry[0], carry[1], carry[2]};
        tu_affine part = {1.0, 0.0}, sum = {0.0, carry[3]};
        for (int k = 0; k < TU_ITEMS; ++k)
            if (k < own) run = tu_join(run, tu_run_of(tu_bar_of<SIGNED>(price[k], volume[k])), rule.mode);
        const tu_run before = tu_before(run, carried, runs, rule.mode);
        run = before;
        for (int k = 0; k < TU_ITEMS; ++k) {
            if (k >= own) continue;
            tu_bar bar = tu_bar_of<SIGNED>(price[k], volume[k]);
            double last = run.last;
            run = tu_join(run, tu_run_of(bar), rule.mode);
            part = tu_join(part, tu_affine_of<SIGNED>(bar, tu_count(run), last, rule), rule.mode);
        }
        double y = tu_before(part, sum, parts, rule.mode).a;
        run = before;
        for (int k = 0; k < TU_ITEMS; ++k) {
            if (k >= own) continue;
            tu_bar bar = tu_bar_of<SIGNED>(price[k], volume[k]);
            double last = run.last;
            run = tu_join(run, tu_run_of(bar), rule.mode);
            double count = tu_count(run);
            y = tu_after<SIGNED>(y, bar, count, last, rule);
            tile[tu_padded(thread * TU_ITEMS + k)] = bar.good && count >= rule.size ? y : TU_NAN;
        }
        if (thread == threads - 1) { carry[0] = run.good; carry[1] = run.bad; carry[2] = run.last; carry[3] = y; }
        __syncthreads();
        for (int k = 0; k < TU_ITEMS; ++k) {
            int at = k * threads + thread;
            if (start + at < bars && start + at >= kept) results.put(start + at - kept, tile[tu_padded(at)]);
        }
        __syncthreads();
    }
}

TU_BARRIERS(tu_scan)
extern "C" __global__ void tu_scan(const long long* table) {
    __shared__ double tile[TU_SCAN_THREADS * (TU_ITEMS + 1)], carry[4];
    __shared__ tu_run runs[TU_SCAN_THREADS / 32];
    __shared__ tu_affine parts[TU_SCAN_THREADS / 32];
    if (table[TU_SCAN_KIND] == TU_SIGNED)
        tu_scan_series<true>(table, tile, runs, parts, carry);
    else
        tu_scan_series<false>(table, tile, runs, parts, carry);
}

// ---- 4. Valuation

// Valuation: amounts of accounts times prices. A warp takes an account and reads its row in lines; what each sum loses
// to rounding is summed beside it, so the number of assets does not show in the result.

enum {  // words of the table
    TU_VALUE_ROWS, TU_VALUE_WIDTH, TU_VALUE_CELLS, TU_VALUE_PITCH, TU_VALUE_SLOTS, TU_VALUE_PRICES, TU_VALUE_QUOTES,
    TU_VALUE_TOTALS, TU_VALUE_GROSS
};

struct tu_exact { double sum, lost; };

TU_INLINE tu_exact tu_plus(tu_exact one, double value) {
    tu_exact made;
    made.sum = one.sum + value;
    double shown = made.sum - one.sum;
    made.lost = one.lost + ((one.sum - (made.sum - shown)) + (value - shown));
    return made;
}

// Sums of QUOTES columns of prices, from `quote` on: each amount is read once for all of them.
template <int QUOTES>
__device__ void tu_value_row(const long long* table, long long row, int quote) {
    long long width = table[TU_VALUE_WIDTH], quotes = table[TU_VALUE_QUOTES];
    const long long* slots = (const long long*)table[TU_VALUE_SLOTS];
    bool mine = row < table[TU_VALUE_ROWS], gross = table[TU_VALUE_GROSS] != 0;
    const long long slot = mine ? slots[row] : 0;
    const double* __restrict__ cells = (const double*)table[TU_VALUE_CELLS] + slot * table[TU_VALUE_PITCH];
    const double* __restrict__ prices = (const double*)table[TU_VALUE_PRICES] + quote * width;
    int lane = threadIdx.x & 31;
    tu_exact sums[QUOTES] = {};
    const long long end = mine ? width : 0;
    for (long long at = lane; at < end; at += 32) {
        double amount = cells[at];
        for (int q = 0; q < QUOTES; ++q) {
            double worth = amount * prices[q * width + at];
            sums[q] = tu_plus(sums[q], gross && worth < 0.0 ? -worth : worth);
        }
    }
    for (int q = 0; q < QUOTES; ++q) {
        for (int by = 1; by < 32; by <<= 1) {  // the last lane ends with all
            double sum = __shfl_up_sync(0xffffffffu, sums[q].sum, by);
            double lost = __shfl_up_sync(0xffffffffu, sums[q].lost, by);
            if (lane >= by) { sums[q] = tu_plus(sums[q], sum); sums[q].lost += lost; }
        }
        double* to = (double*)table[TU_VALUE_TOTALS] + row * quotes + quote;
        if (mine && lane == 31) to[q] = sums[q].sum + sums[q].lost;
    }
}

TU_BARRIERS(tu_value)
extern "C" __global__ void tu_value(const long long* table) {
    long long row = (long long)blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5);
    int quotes = (int)table[TU_VALUE_QUOTES], quote = 0;
    for (; quote + 4 <= quotes; quote += 4) tu_value_row<4>(table, row, quote);
    for (; quote < quotes; ++quote) tu_value_row<1>(table, row, quote);
}
