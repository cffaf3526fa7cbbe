"""example_reward: 1 when the last number of a completion is the reference answer, else 0.

Try:    zeroth score items.jsonl --reward_funcs python:example_reward.py:example_reward
Train:  zeroth grpo --reward_funcs python:example_reward.py:example_reward …
"""
import re


def example_reward(prompts, completions, answer, **columns):
    """1 when the last number of the completion is the reference"""
    # Lists of one length, an entry a completion; every column of the data set is one by its name.
    # None in the result: the reward has nothing to say about that completion.
    scores = []
    for completion, right in zip(completions, answer):
        numbers = re.findall(r"-?[0-9]+", completion)
        scores.append(1.0 if numbers and numbers[-1] == right else 0.0)
    return scores
