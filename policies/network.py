"""The agent in PyTorch, part for part what `graph.py` writes: training's own, nothing that serves imports it."""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, normalize

from policies.anatomy import Sizes, Weights, untrained

State = tuple[Tensor, Tensor]  # hidden (batch, layers, width), memory (batch, slots, width)


class Network:
    """`memory`, what the slots begin with, is not trained."""

    def __init__(self, sizes: Sizes, seed: int) -> None:
        self.sizes = sizes
        self.weights = {name: torch.from_numpy(array.copy()) for name, array in untrained(sizes, seed).items()}
        for name in self.weights.keys() - {"memory"}:
            self.weights[name].requires_grad_()

    def parameters(self) -> list[Tensor]:
        return [weight for weight in self.weights.values() if weight.requires_grad]

    def exported(self) -> Weights:
        return {name: weight.detach().numpy() for name, weight in self.weights.items()}

    def begin(self, count: int) -> State:
        hidden = torch.zeros(count, self.sizes.layers, self.sizes.gru)
        return hidden, self.weights["memory"].expand(count, -1, -1)

    def __call__(self, observation: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """The policy head's output, the value, and the state after."""
        hidden, memory = state
        values = self._norm("encoder", self._linear("encoder", observation)).relu()
        layers = []
        for layer in range(self.sizes.layers):
            values = self._gru(layer, values, hidden[:, layer])
            layers.append(values)
        latent = self._norm("latent", self._linear("latent", values))
        thought, memory = self._remember(latent, memory)
        return self._head("policy", thought), self._head("value", thought)[:, 0], (torch.stack(layers, 1), memory)

    def _linear(self, name: str, values: Tensor) -> Tensor:
        return linear(values, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, name: str, values: Tensor) -> Tensor:
        scale, bias = self.weights[f"{name}.norm.weight"], self.weights[f"{name}.norm.bias"]
        return layer_norm(values, scale.shape, scale, bias)

    def _gru(self, layer: int, values: Tensor, state: Tensor) -> Tensor:
        from_input, from_state = self._linear(f"gru{layer}.input", values), self._linear(f"gru{layer}.hidden", state)
        reset_input, update_input, new_input = from_input.chunk(3, 1)
        reset_state, update_state, new_state = from_state.chunk(3, 1)
        reset, update = (reset_input + reset_state).sigmoid(), (update_input + update_state).sigmoid()
        new = (new_input + reset * new_state).tanh()
        return new + update * (state - new)

    def _remember(self, latent: Tensor, memory: Tensor) -> State:
        sizes = self.sizes
        keys = self._linear("keys", latent).view(-1, sizes.readers + 1, sizes.width)
        similarity = normalize(keys, dim=2, eps=1e-6) @ normalize(memory, dim=2, eps=1e-6).transpose(1, 2)
        attention = similarity.softmax(2)
        read = (attention[:, :-1] @ memory).flatten(1)
        thought = self._norm("mix", latent + self._linear("mix", torch.cat([latent, read], 1)))
        erase, add = self._linear("write", thought).view(-1, 2, sizes.width).split(1, 1)
        return thought, memory + attention[:, -1, :, None] * (add.tanh() - erase.sigmoid() * memory)

    def _head(self, name: str, thought: Tensor) -> Tensor:
        for layer in range(2):
            thought = self._linear(f"{name}{layer}", thought).relu()
        return self._linear(f"{name}2", thought)
