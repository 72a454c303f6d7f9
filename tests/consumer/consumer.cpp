// A program in C++ that uses the installed Holdfast: a layer in C++ around ops in JSON.
#include <holdfast.h>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

void check(int code, const hf_error &err) {
    if (code != HF_OK)
        throw std::runtime_error(std::string(err.name) + ": " + err.message);
}

std::string exec(hf_store *store, const std::string &op) {
    hf_error err{};
    hf_json out{};
    check(hf_exec_json(store, hf_text{op.data(), op.size()}, &out, &err), err);
    std::string result(out.data, out.size);
    hf_json_free(&out);
    return result;
}

int count(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    ++*static_cast<int *>(hf_layer_data(layer));
    return hf_next(layer, op, result, err);
}

void run() {
    hf_error err{};
    hf_store *opened = nullptr;
    check(hf_open(":memory:", nullptr, &opened, &err), err);
    std::unique_ptr<hf_store, void (*)(hf_store *)> store(opened, hf_close);

    int counted = 0;
    const char *ops[] = {"add", nullptr};
    hf_layer_options options{};
    options.size = sizeof options;
    options.name = "count";
    options.ops = ops;
    options.data = &counted;
    check(hf_use_function(store.get(), &options, count, &err), err);

    exec(store.get(), R"({"op":"createConversation","conversationId":"c1"})");
    exec(store.get(), R"({"op":"add","conversationId":"c1","role":"user","content":"hello"})");
    const std::string listed = exec(store.get(), R"({"op":"list","conversationId":"c1"})");
    if (counted != 1 || listed.find(R"("content":"hello")") == std::string::npos)
        throw std::runtime_error("expected one message, hello, seen by the layer once; found " + listed);
}

} // namespace

int main() {
    try {
        run();
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
