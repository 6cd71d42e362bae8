// Clocks the Verilated core, moves frames through its AXI4-Stream ports and accesses its registers through its
// AXI4-Lite port, as a shared library for ctypes.
//
// A clock has two evaluations: with clk low, after the inputs changed, so that combinational outputs settle and the
// handshakes can be sampled; and the rising edge. A model whose registers hang on both edges and whose outputs depend
// on registers alone (VTEP_BOTH_EDGES, see gating.py) needs but one, and clk turns over with each. The queues live
// here, so that a batch of any number of clocks costs one call. Everything that goes wrong is an error code and a
// message, never an exit.

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vvtep.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

#ifdef VTEP_TRIGGERS
#include "Vvtep___024root.h"
// Parts of the model's eval(): what depends on inputs, and what the triggers that are set start.
void Vvtep___024root___eval_ico(Vvtep___024root *);
void Vvtep___024root___eval_nba(Vvtep___024root *);
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

// Verilator's own errors (a loop that does not settle, for one) would end the process.
void vl_fatal(const char *file, int line, const char *, const char *message) {
    throw std::runtime_error(std::string("Verilator: ") + file + ":" + std::to_string(line) + ": " + message);
}

namespace {

constexpr unsigned lanes = VTEP_DATA_WIDTH / 8;
constexpr unsigned ports = 3;
const char *const port_names[ports] = {"tenant", "underlay", "host"};
// No frame is longer inside the core (lengths are 14 bits), so a longer one out of it never ends.
constexpr uint32_t longest_output = 1u << 17;
// A wire at an output has a buffer: so many beats of a frame are taken before the wire is free for it. Without, the parts
// of clocks would add up in which it waits for the next beat.
constexpr unsigned wire_beats = 2;
// Clocks without a beat, the core idle, after which a batch is over; pending counter updates have arrived by then.
constexpr unsigned settle_clocks = 16;

enum Status { done = 0, out_of_clocks = 1, wants_input = 2, failed = 3 };

struct Descriptor {
    uint32_t length;
    uint16_t user;
    bool lost;  // before it reached the port
};

struct Record {  // mirrored in library.py
    uint64_t first;
    uint64_t last;
    uint32_t length;
    uint32_t error;
};

struct Statistics {  // mirrored in library.py
    uint64_t beats;
    uint64_t waits;  // valid without ready
};

enum Kind { read_word = 0, write_word = 1, wait_clear = 2 };

struct Access {  // mirrored in library.py
    uint32_t kind;
    uint32_t address;
    uint32_t value;  // to write; of a wait, the bits of the word that have to be clear
};

struct Answer {  // mirrored in library.py
    uint32_t value;
    uint32_t response;  // RRESP or BRESP
};

class Random {  // xorshift64
  public:
    void seed(uint64_t value) { state_ = value * 2 + 1; }
    uint32_t below_65536() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ >> 20) & 0xFFFF;
    }

  private:
    uint64_t state_ = 1;
};

struct Pacing {
    uint32_t probability = 0;  // of a clock without valid (source) or ready (sink), in 1/65536
    uint32_t gap = 0;          // clocks without valid behind each frame (source only)
    uint64_t hold = 0;         // no valid / no ready before this clock
    uint32_t overhead = 0;     // bytes that a wire spends on a frame beside its own (sink only); 0: there is no wire
    uint32_t shortest = 0;     // bytes to which the wire's end pads
    Random random;
};

#ifdef VTEP_TRIGGERS
// Turns a bit for each domain into a bit for each trigger, a byte at a time.
class Triggers {
  public:
    Triggers() {
        constexpr unsigned bits[] = {VTEP_TRIGGERS};
        for (unsigned domain = 0; domain < sizeof bits / sizeof *bits; ++domain)
            for (unsigned byte = 0; byte < 256; ++byte)
                if (byte >> domain % 8 & 1) words_[domain / 8][byte] |= uint32_t{1} << bits[domain];
    }
    uint32_t of(uint32_t domains) const {
        return words_[0][domains & 255] | words_[1][domains >> 8 & 255] | words_[2][domains >> 16 & 255] |
               words_[3][domains >> 24];
    }

  private:
    uint32_t words_[4][256] = {};
};
#endif

inline uint64_t lane_mask(unsigned count) { return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

template <class T> inline void store(T &port, const uint8_t *bytes, unsigned count) {
    // Verilator keeps values as little-endian words, as this host does: byte 0 is lane 0.
    std::memcpy(static_cast<void *>(&port), bytes, count < sizeof(T) ? count : sizeof(T));
}

struct Source {
    std::vector<uint8_t> bytes;
    std::vector<Descriptor> frames;
    size_t frame = 0;   // the one under way or next
    size_t byte = 0;    // of the beat on the port, or the next
    uint32_t offset = 0;  // the same within the frame
    uint32_t beat = 0;  // bytes of the beat on the port
    uint64_t first = 0;
    uint64_t not_before = 0;
    bool valid = false;
    std::vector<Record> records;
    Statistics statistics{};
    Pacing pacing;
    // Of a schedule: when its frames arrive in front of the port, and how many may wait there.
    std::vector<uint64_t> arrivals;
    size_t arrival = 0;  // the next one of these
    size_t arrived = 0;  // frames up to here have arrived
    size_t waiting = 0;  // of these, not lost and not all gone in
    size_t ring = 0;
    std::vector<uint64_t> lost;  // positions in `arrivals`

    bool empty() const { return frame == frames.size(); }
    bool scheduled() const { return arrival < arrivals.size(); }
    bool present() const { return frame < arrived || !scheduled(); }
    // Whether the next clock may want a frame that was not pushed yet.
    bool dry() const { return scheduled() ? arrived == frames.size() : empty(); }

    void push(const uint8_t *data, const uint32_t *lengths, const uint16_t *users, size_t count) {
        if (frame > 0) {  // drop what has gone in
            bytes.erase(bytes.begin(), bytes.begin() + (byte - offset));
            byte = offset;
            frames.erase(frames.begin(), frames.begin() + frame);
            arrived -= arrived < frame ? arrived : frame;
            frame = 0;
        }
        size_t total = 0;
        for (size_t i = 0; i < count; ++i) {
            frames.push_back({lengths[i], users[i], false});
            total += lengths[i];
        }
        bytes.insert(bytes.end(), data, data + total);
    }

    void schedule(const uint64_t *clocks, size_t count, size_t most) {
        arrivals.assign(clocks, clocks + count);
        arrival = 0;
        arrived = frames.size();
        waiting = frames.size() - frame;
        ring = most;
    }

    // Let the frames arrive that are due; those that find the ring full are lost.
    void arrive(uint64_t clock) {
        while (scheduled() && arrivals[arrival] <= clock && arrived < frames.size()) {
            if (waiting < ring) {
                ++waiting;
            } else {
                frames[arrived].lost = true;
                lost.push_back(arrival);
            }
            ++arrived;
            ++arrival;
            skip_lost();
        }
    }

    // Between two frames: go on to the next that is not lost.
    void skip_lost() {
        while (offset == 0 && !valid && frame < frames.size() && frames[frame].lost) byte += frames[frame++].length;
    }
};

struct Sink {
    std::vector<uint8_t> bytes;
    std::vector<Record> records;
    uint32_t length = 0;  // of the frame under way
    uint64_t first = 0;
    uint64_t wire_start = 0;  // of the frame under way, in the time that the wire takes for a byte
    uint64_t wire_free = 0;   // when the next one may start
    bool ready = false;
    bool stalled = false;  // the beat was offered and not taken in the clock before
    std::vector<uint8_t> held;
    Statistics statistics{};
    Pacing pacing;
};

class Harness {
  public:
    Harness(const char *waves, uint64_t period) : period_(period) {
#if VM_TRACE
        context_.traceEverOn(true);
#endif
        top_ = std::make_unique<Vvtep>(&context_, "TOP");
#if VM_TRACE
        top_->trace(&trace_, 99);
        trace_.set_time_unit("1ns");
        trace_.set_time_resolution("1ps");
#endif
        trace(waves);
        reset();
    }

    ~Harness() {
        trace(nullptr);
        top_->final();
    }

    // Complete the waveform that is being written, and begin another one unless `waves` is null.
    void trace(const char *waves) {
#if VM_TRACE
        if (tracing_) trace_.close();
        tracing_ = waves != nullptr;
        if (tracing_) trace_.open(waves);
#else
        (void)waves;
#endif
    }

    // Write what changes in each clock to a file from here on, behind what it has (null: no longer); false: this model
    // cannot, or it failed.
    bool census(const char *path) {
#ifdef VTEP_CENSUS
        const bool written = !census_ || !std::fclose(census_);
        census_ = path ? std::fopen(path, "ab") : nullptr;
        return written && (census_ || !path);
#else
        return !path;
#endif
    }

    // Frames under way are forgotten, on both sides of the ports.
    void reset() {
        for (unsigned p = 0; p < ports; ++p) {
            Pacing source_pacing = sources_[p].pacing, sink_pacing = sinks_[p].pacing;
            sources_[p] = Source();
            sinks_[p] = Sink();
            sources_[p].pacing = source_pacing;
            sinks_[p].pacing = sink_pacing;
        }
        accesses_.clear();
        access_ = 0;
        under_way_ = false;
        answers_.clear();
        top_->s_axis_tenant_tvalid = top_->s_axis_underlay_tvalid = top_->s_axis_host_tvalid = 0;
        top_->m_axis_tenant_tready = top_->m_axis_underlay_tready = top_->m_axis_host_tready = 0;
        top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_arvalid = 0;
        top_->s_axil_bready = top_->s_axil_rready = 1;
        top_->s_axil_wstrb = 15;
        top_->rst = 1;
        for (int i = 0; i < 4; ++i) {
            low();
            high();
        }
        top_->rst = 0;
        quiet_ = 0;
        error_.clear();
    }

    int run(uint64_t clocks, unsigned more, uint64_t watchdog, bool only_accesses);

    Source &source(unsigned port) { return sources_[port]; }
    Sink &sink(unsigned port) { return sinks_[port]; }
    uint64_t clock() const { return clock_; }
    const char *error() const { return error_.c_str(); }
    std::vector<Answer> &answers() { return answers_; }

    void access(const Access *accesses, size_t count) {
        accesses_.erase(accesses_.begin(), accesses_.begin() + access_);
        access_ = 0;
        accesses_.insert(accesses_.end(), accesses, accesses + count);
    }

  private:
    void low() {
#ifndef VTEP_BOTH_EDGES
        top_->clk = 0;
        top_->eval();
#if VM_TRACE
        if (tracing_) trace_.dump(clock_ * period_);
#endif
#endif
    }

    void high() {
#ifdef VTEP_GATES
        // A domain is clocked where one of its sources changed with the last edge, and around a reset.
        const bool all = top_->rst || was_reset_;
        was_reset_ = top_->rst;
        if (all)
            edge(~0u);
        else
            step(VTEP_GATES);
#else
        edge(0);
#endif
#ifdef VTEP_CENSUS
        if (census_) std::fwrite(&top_->changed_all, sizeof top_->changed_all, 1, census_);
#endif
#if VM_TRACE
        if (tracing_) trace_.dump(clock_ * period_ + period_ / 2);
#endif
        ++clock_;
    }

    // Clock everything in the usual way, of the domains those in `gates`.
    void edge(uint32_t gates) {
#ifdef VTEP_BOTH_EDGES
        top_->clk = !top_->clk;
#else
        top_->clk = 1;
#endif
#ifdef VTEP_GATES
        top_->gate_clk ^= gates;
#endif
        top_->eval();
    }

#ifdef VTEP_TRIGGERS
    // The same without moving a clock: Verilator need not find out which of them have an edge (see triggers.py).
    void step(uint32_t gates) {
        Vvtep___024root &root = *top_->rootp;
        root.__VicoTriggered[0] = 1;
        Vvtep___024root___eval_ico(&root);
        root.__VnbaTriggered[0] = triggers_.of(gates | 1);
        Vvtep___024root___eval_nba(&root);
        root.__VnbaTriggered[0] = 0;
    }
#elif defined(VTEP_GATES)
    void step(uint32_t gates) { edge(gates); }
#endif

    int fail(const char *format, ...) __attribute__((format(printf, 2, 3))) {
        char text[1024];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        error_ = text;
        return failed;
    }

    template <class Data, class Keep, class Valid, class Last, class User>
    void drive(unsigned p, Data &data, Keep &keep, Valid &valid, Last &last, User &user);
    template <class Ready> void drive_ready(unsigned p, Ready &ready);
    void taken(unsigned p);
    template <class Data, class Keep>
    bool receive(unsigned p, const Data &data, Keep keep, bool valid, bool last, bool user);
    bool accessing() const { return access_ < accesses_.size(); }
    void drive_access();
    bool exchange_access();
    std::string stuck() const;

    VerilatedContext context_;
    std::unique_ptr<Vvtep> top_;
#if VM_TRACE
    VerilatedFstC trace_;
    bool tracing_ = false;
#endif
#ifdef VTEP_GATES
    bool was_reset_ = true;
#endif
#ifdef VTEP_TRIGGERS
    const Triggers triggers_;
#endif
#ifdef VTEP_CENSUS
    FILE *census_ = nullptr;
#endif
    Source sources_[ports];
    Sink sinks_[ports];
    std::vector<Access> accesses_;
    size_t access_ = 0;       // the one under way or next
    bool under_way_ = false;  // its address is on the port or was taken
    std::vector<Answer> answers_;
    uint64_t clock_ = 0;
    uint64_t quiet_ = 0;  // clocks without a beat on any port, work left
    const uint64_t period_;  // of the waveform's clock, in ps
    std::string error_;
};

// Put the next beat on a source port, unless the present one still waits.
template <class Data, class Keep, class Valid, class Last, class User>
inline void Harness::drive(unsigned p, Data &data, Keep &keep, Valid &valid, Last &last, User &user) {
    Source &source = sources_[p];
    source.arrive(clock_);
    if (source.valid) return;
    if (source.empty() || !source.present()) {
        valid = 0;
        return;
    }
    Pacing &pacing = source.pacing;
    if (clock_ < source.not_before || clock_ < pacing.hold ||
        (pacing.probability && pacing.random.below_65536() < pacing.probability)) {
        valid = 0;
        return;
    }
    const Descriptor &frame = source.frames[source.frame];
    const uint32_t left = frame.length - source.offset;
    const bool final = left <= lanes;
    source.beat = final ? left : lanes;
    store(data, &source.bytes[source.byte], source.beat);
    keep = lane_mask(source.beat);
    last = final;
    user = (source.offset == 0 ? frame.user & 0x7FFE : 0) | (final ? frame.user & 1 : 0);
    valid = 1;
    source.valid = true;
}

inline void Harness::taken(unsigned p) {
    Source &source = sources_[p];
    const Descriptor &frame = source.frames[source.frame];
    if (source.offset == 0) source.first = clock_;
    source.valid = false;
    source.offset += source.beat;
    source.byte += source.beat;
    ++source.statistics.beats;
    if (source.offset == frame.length) {
        source.records.push_back({source.first, clock_, frame.length, frame.user & 1u});
        source.offset = 0;
        ++source.frame;
        if (source.waiting) --source.waiting;
        source.skip_lost();
        if (source.pacing.gap) source.not_before = clock_ + 1 + source.pacing.gap;
    }
}

template <class Ready> inline void Harness::drive_ready(unsigned p, Ready &ready) {
    Sink &sink = sinks_[p];
    Pacing &pacing = sink.pacing;
    sink.ready = clock_ >= pacing.hold && (sink.length || (clock_ + wire_beats) * lanes >= sink.wire_free) &&
                 !(pacing.probability && pacing.random.below_65536() < pacing.probability);
    ready = sink.ready;
}

// Look at a sink port; false: the core broke the rules of AXI4-Stream, `error_` says how.
template <class Data, class Keep>
inline bool Harness::receive(unsigned p, const Data &data, Keep keep, bool valid, bool last, bool user) {
    Sink &sink = sinks_[p];
    if (!valid) {
        if (sink.stalled) {
            fail("m_axis_%s: tvalid fell at clock %llu before tready took the beat", port_names[p],
                 (unsigned long long)clock_);
            return false;
        }
        return true;
    }
    const unsigned count = __builtin_popcountll(keep);
    if (count == 0 || keep != lane_mask(count) || (count != lanes && !last)) {
        fail("m_axis_%s: tkeep %#llx with tlast %d at clock %llu: only a last beat may be partly filled, from lane 0 on",
             port_names[p], (unsigned long long)keep, last, (unsigned long long)clock_);
        return false;
    }
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(&data);
    if (sink.stalled || !sink.ready) {
        uint8_t image[lanes + 2];
        std::memcpy(image, bytes, count);
        std::memset(image + count, 0, lanes - count);
        image[lanes] = count | (last ? 0x80 : 0);
        image[lanes + 1] = last && user;
        if (sink.stalled && std::memcmp(image, sink.held.data(), sizeof image) != 0) {
            fail("m_axis_%s: the beat changed at clock %llu while it waited for tready", port_names[p],
                 (unsigned long long)clock_);
            return false;
        }
        sink.held.assign(image, image + sizeof image);
    }
    sink.stalled = !sink.ready;
    if (!sink.ready) {
        ++sink.statistics.waits;
        return true;
    }
    if (sink.length == 0) {
        sink.first = clock_;
        sink.wire_start = clock_ * lanes > sink.wire_free ? clock_ * lanes : sink.wire_free;
    }
    sink.bytes.insert(sink.bytes.end(), bytes, bytes + count);
    sink.length += count;
    ++sink.statistics.beats;
    if (last) {
        sink.records.push_back({sink.first, clock_, sink.length, user});
        const Pacing &pacing = sink.pacing;
        const uint32_t length = sink.length < pacing.shortest ? pacing.shortest : sink.length;
        uint64_t end = sink.wire_start + length;
        if (end < clock_ * lanes) end = clock_ * lanes;  // the core left clocks without a beat
        sink.wire_free = pacing.overhead ? end + pacing.overhead : 0;
        sink.length = 0;
    } else if (sink.length > longest_output) {
        fail("m_axis_%s: a frame of more than %u bytes without tlast at clock %llu", port_names[p], longest_output,
             (unsigned long long)clock_);
        return false;
    }
    return true;
}

// One access at a time: the address (and the data) is offered until it is taken, then the response is waited for.
inline void Harness::drive_access() {
    if (under_way_ || !accessing()) return;
    Vvtep &top = *top_;
    const Access &access = accesses_[access_];
    if (access.kind == write_word) {
        top.s_axil_awaddr = access.address;
        top.s_axil_wdata = access.value;
        top.s_axil_awvalid = top.s_axil_wvalid = 1;
    } else {
        top.s_axil_araddr = access.address;
        top.s_axil_arvalid = 1;
    }
    under_way_ = true;
}

// Whether an access ended that does not have to be repeated. Called between the edges; what it lowers changes behind
// the next one.
inline bool Harness::exchange_access() {
    Vvtep &top = *top_;
    const bool answered = top.s_axil_bvalid || top.s_axil_rvalid;
    if (!under_way_ || !answered) return false;
    const Access &access = accesses_[access_];
    under_way_ = false;
    if (access.kind == write_word) {
        answers_.push_back({0, top.s_axil_bresp});
    } else {
        if (access.kind == wait_clear && top.s_axil_rresp == 0 && (top.s_axil_rdata & access.value)) return false;
        answers_.push_back({top.s_axil_rdata, top.s_axil_rresp});
    }
    ++access_;
    return true;
}

std::string Harness::stuck() const {
    std::string text;
    const bool readies[ports] = {!!top_->s_axis_tenant_tready, !!top_->s_axis_underlay_tready,
                                 !!top_->s_axis_host_tready};
    const bool valids[ports] = {!!top_->m_axis_tenant_tvalid, !!top_->m_axis_underlay_tvalid,
                                !!top_->m_axis_host_tvalid};
    for (unsigned p = 0; p < ports; ++p) {
        const Source &source = sources_[p];
        text += std::string("; s_axis_") + port_names[p] + " tvalid " + (source.valid ? "1" : "0") + " tready " +
                (readies[p] ? "1" : "0") + ", " + std::to_string(source.frames.size() - source.frame) +
                " frames left";
        if (source.offset) text += ", inside a frame";
    }
    for (unsigned p = 0; p < ports; ++p) {
        text += std::string("; m_axis_") + port_names[p] + " tvalid " + (valids[p] ? "1" : "0") + " tready " +
                (sinks_[p].ready ? "1" : "0");
        if (sinks_[p].length) text += ", inside a frame";
    }
    if (accessing()) {
        char access[64];
        const char *const kinds[] = {"read of", "write to", "wait at"};
        std::snprintf(access, sizeof access, "; %s register %#x under way", kinds[accesses_[access_].kind],
                      (unsigned)accesses_[access_].address);
        text += access;
    }
    return text + "; idle " + (top_->idle ? "1" : "0");
}

#define DRIVE(p, name)                                                                                             \
    drive(p, top.s_axis_##name##_tdata, top.s_axis_##name##_tkeep, top.s_axis_##name##_tvalid,                     \
          top.s_axis_##name##_tlast, top.s_axis_##name##_tuser);                                                   \
    drive_ready(p, top.m_axis_##name##_tready)

#define EXCHANGE(p, name)                                                                                          \
    if (sources_[p].valid) {                                                                                       \
        if (top.s_axis_##name##_tready) {                                                                          \
            taken(p);                                                                                              \
            moved = true;                                                                                          \
        } else {                                                                                                   \
            ++sources_[p].statistics.waits;                                                                        \
        }                                                                                                          \
    }                                                                                                              \
    if (top.m_axis_##name##_tvalid || sinks_[p].stalled) {                                                         \
        if (!receive(p, top.m_axis_##name##_tdata, top.m_axis_##name##_tkeep, top.m_axis_##name##_tvalid,          \
                     top.m_axis_##name##_tlast, top.m_axis_##name##_tuser))                                        \
            return failed;                                                                                         \
        moved = moved || sinks_[p].ready;                                                                          \
        offered = true;                                                                                            \
    }

// Run until everything that was queued has passed and the core is idle, or `clocks` are over, or a source of the
// mask `more` has run dry (the simulation then stands between two clocks, so the next push leaves no gap).
// `only_accesses`: until the queued accesses are done, whatever the frames do.
int Harness::run(uint64_t clocks, unsigned more, uint64_t watchdog, bool only_accesses) {
    Vvtep &top = *top_;
    const uint64_t end = clock_ + clocks;
    unsigned settled = 0;
    while (clock_ < end) {
        for (unsigned p = 0; p < ports; ++p) {
            if ((more >> p & 1) && sources_[p].dry()) return wants_input;
        }
        DRIVE(0, tenant);
        DRIVE(1, underlay);
        DRIVE(2, host);
        drive_access();
        low();

        bool moved = false, offered = false;
        EXCHANGE(0, tenant)
        EXCHANGE(1, underlay)
        EXCHANGE(2, host)
        if (!under_way_ && (top.s_axil_bvalid || top.s_axil_rvalid)) {
            return fail("s_axil: a response nobody waits for at clock %llu", (unsigned long long)clock_);
        }
        const bool aw_taken = top.s_axil_awvalid && top.s_axil_awready;
        const bool w_taken = top.s_axil_wvalid && top.s_axil_wready;
        const bool ar_taken = top.s_axil_arvalid && top.s_axil_arready;
        if (exchange_access()) moved = true;
        const bool empty = sources_[0].empty() && sources_[1].empty() && sources_[2].empty() && !accessing();
        const bool still = top.idle && empty && !moved && !offered;
        high();
        if (aw_taken) top.s_axil_awvalid = 0;
        if (w_taken) top.s_axil_wvalid = 0;
        if (ar_taken) top.s_axil_arvalid = 0;
        quiet_ = moved || still ? 0 : quiet_ + 1;
        if (only_accesses && !accessing()) return done;

        settled = still ? settled + 1 : 0;
        if (settled == settle_clocks) {
            for (unsigned p = 0; p < ports; ++p) {
                if (sinks_[p].length) return fail("the core is idle in the middle of a frame on m_axis_%s", port_names[p]);
            }
            return done;
        }
        if (quiet_ >= watchdog) {
            return fail("no beat on any port for %llu clocks up to clock %llu%s", (unsigned long long)watchdog,
                        (unsigned long long)clock_, stuck().c_str());
        }
    }
    return out_of_clocks;
}

thread_local std::string last_error;

template <class Action> int guarded(Action action) {
    try {
        return action();
    } catch (const std::exception &problem) {
        last_error = problem.what();
        return -1;
    }
}

}  // namespace

EXPORT const char *vtep_last_error() { return last_error.c_str(); }

EXPORT Harness *vtep_open(const char *waves, uint64_t period) {
    Harness *harness = nullptr;
    guarded([&] {
        harness = new Harness(waves, period);
        return 0;
    });
    return harness;
}

EXPORT void vtep_close(Harness *harness) { delete harness; }

EXPORT int vtep_reset(Harness *harness) {
    return guarded([&] { return harness->reset(), 0; });
}

EXPORT int vtep_trace(Harness *harness, const char *waves) {
    return guarded([&] { return harness->trace(waves), 0; });
}

EXPORT int vtep_census(Harness *harness, const char *path) { return harness->census(path); }

EXPORT void vtep_pace(Harness *harness, int sink, unsigned port, uint32_t probability, uint32_t gap, uint64_t hold,
                      uint32_t overhead, uint32_t shortest, uint64_t seed) {
    Pacing &pacing = sink ? harness->sink(port).pacing : harness->source(port).pacing;
    pacing.probability = probability;
    pacing.gap = gap;
    pacing.hold = hold;
    pacing.overhead = overhead;
    pacing.shortest = shortest;
    pacing.random.seed(seed);
    if (sink && !overhead) harness->sink(port).wire_free = 0;
}

// The frames that are pushed from now on arrive at these clocks, in front of a ring of `ring` frames.
EXPORT void vtep_schedule(Harness *harness, unsigned port, const uint64_t *clocks, uint64_t count, uint64_t ring) {
    harness->source(port).schedule(clocks, count, ring);
}

EXPORT void vtep_push(Harness *harness, unsigned port, const uint8_t *data, const uint32_t *lengths,
                      const uint16_t *users, uint64_t count) {
    harness->source(port).push(data, lengths, users, count);
}

EXPORT void vtep_access(Harness *harness, const Access *accesses, uint64_t count) { harness->access(accesses, count); }

EXPORT int vtep_run(Harness *harness, uint64_t clocks, unsigned more, uint64_t watchdog, int only_accesses) {
    return guarded([&] { return harness->run(clocks, more, watchdog, only_accesses); });
}

EXPORT const char *vtep_error(Harness *harness) { return harness->error(); }

EXPORT uint64_t vtep_clock(Harness *harness) { return harness->clock(); }

EXPORT uint64_t vtep_answers(Harness *harness, const Answer **values) {
    *values = harness->answers().data();
    return harness->answers().size();
}

EXPORT void vtep_forget_answers(Harness *harness) { harness->answers().clear(); }

EXPORT uint64_t vtep_inputs(Harness *harness, unsigned port, const Record **records) {
    *records = harness->source(port).records.data();
    return harness->source(port).records.size();
}

EXPORT uint64_t vtep_outputs(Harness *harness, unsigned port, const Record **records, const uint8_t **bytes,
                             uint64_t *size) {
    Sink &sink = harness->sink(port);
    *records = sink.records.data();
    *bytes = sink.bytes.data();
    *size = sink.bytes.size() - sink.length;  // without the frame under way
    return sink.records.size();
}

// Positions in the schedule of the frames that were lost.
EXPORT uint64_t vtep_lost(Harness *harness, unsigned port, const uint64_t **positions) {
    *positions = harness->source(port).lost.data();
    return harness->source(port).lost.size();
}

// Forget the records, the losses and the bytes of the complete frames of a port.
EXPORT void vtep_forget(Harness *harness, unsigned port) {
    harness->source(port).records.clear();
    harness->source(port).lost.clear();
    Sink &sink = harness->sink(port);
    sink.records.clear();
    sink.bytes.erase(sink.bytes.begin(), sink.bytes.end() - sink.length);
}

EXPORT void vtep_statistics(Harness *harness, int sink, unsigned port, Statistics *statistics) {
    *statistics = sink ? harness->sink(port).statistics : harness->source(port).statistics;
}

EXPORT unsigned vtep_data_width() { return VTEP_DATA_WIDTH; }
EXPORT unsigned vtep_traces() { return VM_TRACE; }
