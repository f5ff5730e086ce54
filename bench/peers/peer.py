"""MetaLR steps in PyTorch, to measure ours against: written for this bench, on PyTorch 1.13 or any 2.x, CPU, two threads.

released   the step as the released program computes it: a copy of the network for the look-ahead, a gradient that builds a
           graph for its own derivative, the derivative by the rates through that graph (building another one), then a third
           forward/backward pass for the true step by Adam with one parameter group per layer, whose rates are set through its
           state dict; at the end of every step it builds the network of the next look-ahead anew, as its training loop does
           (torchvision's initialisation of all weights with a head of 1,000 classes, then a new head).
releasedCopy    the same with a plain copy of the network in the place of that new one, for scale.
twoPass    the best that we can write: one gradient g serves the look-ahead and the true step, the look-ahead lives in buffers
           that are made once, no graph is built for a derivative nobody takes, channels_last, Adam fused or by lists.
finetune, trainingPass, inference    plain parts, for scale; channels_last, too.

Talks JSON, one object a line, on stdin and stdout:
  {"cmd": "load", "workload": {"model": "resnet18", "size": 64, "batch": 128, "classes": 3}, "kind": "released"} -> {"torch": "1.13.1", ...}
  {"cmd": "step", "kind": "released"}                                          -> {"ms": 1402.7, "loss": 1.1}
  {"cmd": "peak"}                                                              -> {"mb": 1834.2}   (peak resident memory)
usage: peer.py [--threads 2]        peer.py --check GOLDEN_FOLDER...    (compares both steps with reference trajectories)
"""
import argparse
import copy
import json
import os
import sys
import time

THREADS_DEFAULT = 2


def conv3x3(nn, inputs, outputs, stride):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


def networks():
    """The two networks, with the names of torchvision's ResNet-18 and of the CIFAR ResNet-20; built late, since torch may be missing."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride, shortcut):
            super().__init__()
            self.conv1, self.bn1 = conv3x3(nn, inputs, outputs, stride), nn.BatchNorm2d(outputs)
            self.conv2, self.bn2 = conv3x3(nn, outputs, outputs, 1), nn.BatchNorm2d(outputs)
            changes = stride != 1 or inputs != outputs
            self.pad = (outputs - inputs) // 2 if changes and shortcut == "pad" else 0
            if changes and shortcut == "conv":
                self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            else:
                self.downsample = None

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)), inplace=True)
            y = self.bn2(self.conv2(y))
            if self.downsample is not None:
                x = self.downsample(x)
            elif self.pad:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
            return F.relu(y.add_(x), inplace=True)

    def stage(inputs, outputs, blocks, stride, shortcut):
        first = Block(inputs, outputs, stride, shortcut)
        return nn.Sequential(first, *[Block(outputs, outputs, 1, shortcut) for _ in range(blocks - 1)])

    class ResNet18(nn.Module):
        def __init__(self, classes, width=64):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
            self.layer1 = stage(width, width, 2, 1, "conv")
            self.layer2 = stage(width, 2 * width, 2, 2, "conv")
            self.layer3 = stage(2 * width, 4 * width, 2, 2, "conv")
            self.layer4 = stage(4 * width, 8 * width, 2, 2, "conv")
            self.fc = nn.Linear(8 * width, classes)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    class ResNet20(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.conv1, self.bn1 = conv3x3(nn, 3, 16, 1), nn.BatchNorm2d(16)
            self.layer1 = stage(16, 16, 3, 1, "pad")
            self.layer2 = stage(16, 32, 3, 2, "pad")
            self.layer3 = stage(32, 64, 3, 2, "pad")
            self.linear = nn.Linear(64, classes)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)), inplace=True)
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    class Unit(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs)

        def forward(self, x):
            return F.relu(self.bn1(self.conv1(x)), inplace=True)

    def units(inputs, middle, outputs):
        return nn.Sequential(Unit(inputs, middle), Unit(middle, outputs))

    class UNet3d(nn.Module):
        """The 3-D U-Net of Models Genesis with a base width of 16, one input channel."""

        def __init__(self, classes, w=16):
            super().__init__()
            self.layer0, self.layer1 = units(1, w, 2 * w), units(2 * w, 2 * w, 4 * w)
            self.layer2, self.layer3 = units(4 * w, 4 * w, 8 * w), units(8 * w, 8 * w, 16 * w)
            for i, (up, skip) in enumerate([(16 * w, 8 * w), (8 * w, 4 * w), (4 * w, 2 * w)]):
                setattr(self, f"wide{i}", nn.ConvTranspose3d(up, up, 2, 2))
                setattr(self, f"units{i}", units(up + skip, skip, skip))
            self.fc = nn.Conv3d(2 * w, classes, 1)

        def forward(self, x):
            skips = [self.layer0(x)]
            for layer in (self.layer1, self.layer2, self.layer3):
                skips.append(layer(F.max_pool3d(skips[-1], 2)))
            y = skips.pop()
            for i in range(3):
                y = getattr(self, f"units{i}")(torch.cat([getattr(self, f"wide{i}")(y), skips.pop()], 1))
            return self.fc(y)

    return {"resnet18": ResNet18, "resnet20": ResNet20, "unet3d": UNet3d}


def fresh_network(kind, classes, width=None):
    """A network made as torchvision's constructors do (He's initialisation after PyTorch's own), its head of 1,000 classes replaced."""
    from torch import nn

    heads = 1000 if kind.__name__.startswith("ResNet") else classes  # the segmentation network has no head to replace
    model = kind(heads) if width is None else kind(heads, width)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.constant_(module.weight, 1)
            nn.init.constant_(module.bias, 0)
    head = "fc" if hasattr(model, "fc") else "linear"
    last = getattr(model, head)
    setattr(model, head, nn.Linear(last.in_features, classes) if isinstance(last, nn.Linear) else nn.Conv3d(last.in_channels, classes, 1))
    return model


def layer_of(name):
    """Layer of a parameter: "stem", a block such as "layer1.0", or the head's own name."""
    first, *rest = name.split(".")
    if first.startswith("layer"):
        return f"{first}.{rest[0]}"
    return "stem" if first in ("conv1", "bn1") else first


def fastest_adam():
    """The option of Adam that this torch runs on the CPU: fused came with 2.4, lists of tensors with 1.12."""
    import torch

    for extra in ({"fused": True}, {"foreach": True}):
        p = torch.zeros(1, requires_grad=True)
        p.grad = torch.zeros(1)
        try:
            torch.optim.Adam([p], **extra).step()
            return extra
        except (TypeError, RuntimeError):
            continue
    return {}


class Trainee:
    """A network with what MetaLR keeps beside it: the layers in the network's order, their rates, Adam."""

    def __init__(self, model, lr=0.01, hyper_lr=0.1, bounds=(1e-6, 1e-2), weight_decay=1e-4, eps=1e-8, sign=-1, pinned=0, lists=False, remake=None):
        import torch

        self.model = model.train()
        self.lr, self.hyper_lr, self.bounds, self.sign, self.pinned = lr, hyper_lr, bounds, sign, pinned
        layers = {}
        for name, parameter in model.named_parameters():
            layers.setdefault(layer_of(name), []).append(parameter)
        self.layers = list(layers.values())
        self.parameters = list(model.parameters())
        index = {id(p): j for j, layer in enumerate(self.layers) for p in layer}
        self.index = [index[id(p)] for p in self.parameters]
        self.rates = [0.1 * lr] * (len(self.layers) - 1) + [lr]
        self.steps = 0
        groups = [{"params": layer, "lr": rate} for layer, rate in zip(self.layers, self.rates)]
        extra = fastest_adam() if lists else {}
        self.adam = torch.optim.Adam(groups, eps=eps, weight_decay=weight_decay, **extra)
        self.adam_kind = next(iter(extra), "plain")
        self.ahead = None
        self.remake, self.remade = remake, None
        self.norms = [m for m in model.modules() if isinstance(m, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d))]

    def new_rates(self, h):
        """α(1 − ηh) within the bounds; the head's rate stays at lr in the first `pinned` steps."""
        low, high = self.bounds
        rates = [min(max(a * (1 - self.hyper_lr * d), low), high) for a, d in zip(self.rates, h)]
        if self.steps < self.pinned:
            rates[-1] = self.lr
        self.steps += 1
        return rates


def replace_parameters(model, values):
    """Puts computed tensors in the place of a module's parameters, so that its forward pass stays differentiable by what made them."""
    owners = dict(model.named_modules())
    for (name, _), value in zip(list(model.named_parameters()), values):
        owner, _, leaf = name.rpartition(".")
        owners[owner]._parameters[leaf] = value


def released_step(t, train, valid):
    import torch
    from torch.nn.functional import cross_entropy

    t.adam.zero_grad(set_to_none=True)  # or the copy would take the gradients along
    if t.remake is None:
        ahead = copy.deepcopy(t.model)
    else:
        ahead = t.remade or t.remake()
        ahead.load_state_dict(t.model.state_dict())
        ahead.train()
    loss = cross_entropy(ahead(train[0]), train[1])
    old = list(ahead.parameters())
    gradients = torch.autograd.grad(loss, old, create_graph=True)
    rates = torch.tensor(t.rates, dtype=torch.float64, requires_grad=True)
    replace_parameters(ahead, [p.detach() + t.sign * rates[j] * g for p, g, j in zip(old, gradients, t.index)])
    valid_loss = cross_entropy(ahead(valid[0]), valid[1])
    (h,) = torch.autograd.grad(valid_loss, rates, create_graph=True)
    t.rates = t.new_rates(h.detach().tolist())

    state = t.adam.state_dict()
    for group, rate in zip(state["param_groups"], t.rates):
        group["lr"] = rate
    t.adam.load_state_dict(state)
    loss = cross_entropy(t.model(train[0]), train[1])
    loss.backward()
    t.adam.step()
    t.remade = t.remake and t.remake()
    return loss.item(), valid_loss.item()


def flat(x):
    """All elements of a dense tensor in the order of memory, whatever its layout, without a copy."""
    return x.as_strided((x.numel(),), (1,))


def dot(a, b):
    """Σ a·b; two gradients of one parameter come in the same layout, but nothing promises it."""
    return (flat(a) * flat(b)).sum() if a.stride() == b.stride() else (a * b).sum()


def two_pass_step(t, train, valid):
    import torch
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(t.model(train[0]), train[1])
    gradients = torch.autograd.grad(loss, t.parameters)
    with torch.no_grad():
        if t.ahead is None:
            t.ahead = [torch.empty_like(p) for p in t.parameters]
        kept = [p.data for p in t.parameters]
        for p, g, a, j in zip(t.parameters, gradients, t.ahead, t.index):
            torch.add(p, g, alpha=t.sign * t.rates[j], out=a)
            p.data = a
    for norm in t.norms:
        norm.track_running_stats = False  # batch statistics, and the running ones stay
    valid_loss = cross_entropy(t.model(valid[0]), valid[1])
    valid_gradients = torch.autograd.grad(valid_loss, t.parameters)
    for norm in t.norms:
        norm.track_running_stats = True
    with torch.no_grad():
        h = torch.zeros(len(t.layers), dtype=torch.float64)
        for p, old, g, v, j in zip(t.parameters, kept, gradients, valid_gradients, t.index):
            p.data = old
            p.grad = g
            h[j] += dot(v, g)
        t.rates = t.new_rates((t.sign * h).tolist())
        for group, rate in zip(t.adam.param_groups, t.rates):
            group["lr"] = rate
    t.adam.step()
    t.adam.zero_grad(set_to_none=True)
    return loss.item(), valid_loss.item()


def finetune_step(t, train, _):
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(t.model(train[0]), train[1])
    t.adam.zero_grad(set_to_none=True)
    loss.backward()
    t.adam.step()
    return loss.item(), None


def training_pass(t, train, _):
    import torch
    from torch.nn.functional import cross_entropy

    loss = cross_entropy(t.model(train[0]), train[1])
    torch.autograd.grad(loss, t.parameters)
    return loss.item(), None


def inference(t, train, _):
    import torch

    t.model.eval()
    with torch.inference_mode():
        t.model(train[0])
    t.model.train()
    return None, None


STEPS = {"released": released_step, "releasedCopy": released_step, "twoPass": two_pass_step, "finetune": finetune_step, "trainingPass": training_pass, "inference": inference}


def peak_mb():
    """Peak resident memory of this process in MB (10^6 bytes)."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


class Session:
    def load(self, request):
        import torch

        w, kind = request["workload"], request["kind"]
        torch.manual_seed(0)
        network = networks()[w["model"]]
        model = network(w["classes"])
        last = not kind.startswith("released") and request.get("channelsLast", True)
        volumes = w["model"] == "unet3d"
        layout = (torch.channels_last_3d if volumes else torch.channels_last) if last else torch.contiguous_format
        self.trainee = Trainee(model.to(memory_format=layout), lists=last or not kind.startswith("released"))
        if kind == "released":
            self.trainee.remake = lambda: fresh_network(network, w["classes"])
        space = (w["size"],) * (3 if volumes else 2)
        shape = (w["batch"], 1 if volumes else 3, *space)
        labels = (w["batch"], *space) if volumes else (w["batch"],)
        self.batches = [(torch.randn(shape).contiguous(memory_format=layout), torch.randint(0, w["classes"], labels)) for _ in range(2)]
        return {"torch": torch.__version__, "threads": torch.get_num_threads(), "adam": self.trainee.adam_kind, "channelsLast": last}

    def step(self, request):
        run = STEPS[request["kind"]]
        begin = time.perf_counter()
        loss, _ = run(self.trainee, *self.batches)
        return {"ms": (time.perf_counter() - begin) * 1e3, "loss": loss}

    def peak(self, _):
        return {"mb": peak_mb()}


def serve():
    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"load": session.load, "step": session.step, "peak": session.peak}[request["cmd"]](request)
        except Exception as error:  # the driver prints it and goes on without this peer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def check(folders):
    """Both steps against reference trajectories: losses, and the rates where rounding does not decide them."""
    import numpy as np
    import torch

    worst = 0.0
    for folder in folders:
        batches = {k: torch.from_numpy(v) for k, v in np.load(f"{folder}/batches.npz").items()}
        weights = torch.load(f"{folder}/init.pth")
        width = weights["conv1.weight"].shape[0]
        for variant in ("adam-eps1e-2", "adam-proportional-bounded", "released-adam"):
            with open(f"{folder}/{variant}.json") as file:
                reference = json.load(file)
            hyper, loose = reference["hyper"], reference["hyper"]["eps"] < 1e-6
            for name in ("released", "twoPass"):
                model = networks()["resnet18"](weights["fc.weight"].shape[0], width)
                model.load_state_dict(weights)
                model = model.to(memory_format=torch.channels_last if name == "twoPass" else torch.contiguous_format)
                options = {"lr": hyper["lr"], "hyper_lr": hyper["eta"], "bounds": hyper["bounds"], "weight_decay": hyper["wd"]}
                t = Trainee(model, eps=hyper["eps"], sign=hyper["sign"], pinned=hyper["pinned"], lists=name == "twoPass", **options)
                if name == "released":
                    t.remake = lambda: fresh_network(networks()["resnet18"], weights["fc.weight"].shape[0], width)
                ratio = 0.0  # of the deviation to what is allowed
                for i, want in enumerate(reference["float32"]):
                    v = 0 if variant.startswith("released") else i
                    train, valid = (batches["train_x"][i], batches["train_y"][i]), (batches["val_x"][v], batches["val_y"][v])
                    loss, _ = STEPS[name](t, train, valid)
                    loss_allowed, rate_allowed = (1e-4, 3e-4) if not loose else (1e-3, 1e-3) if i == 0 else (2e-2, None)
                    ratio = max(ratio, abs(loss - want["train_loss"]) / want["train_loss"] / loss_allowed)
                    if rate_allowed is not None:
                        largest = max(map(abs, want["lr"]))
                        ratio = max(ratio, max(abs(a - b) for a, b in zip(t.rates, want["lr"])) / largest / rate_allowed)
                print(f"{os.path.basename(os.path.normpath(folder))} {variant} {name}: {100 * ratio:.1f} % of the tolerance")
                worst = max(worst, ratio)
    print("agree" if worst <= 1 else "DIFFER")
    return 0 if worst <= 1 else 1


def main():
    parser = argparse.ArgumentParser(description="MetaLR steps in PyTorch, for the bench")
    parser.add_argument("--threads", type=int, default=THREADS_DEFAULT)
    parser.add_argument("--check", nargs="+", metavar="GOLDEN_FOLDER")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if options.check:
        return check(options.check)
    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
